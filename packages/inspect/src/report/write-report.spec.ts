import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { testReport } from '../testing/test-report.js';
import { packScene } from './pack-scene.js';
import type { Report } from './report.js';
import { writeReport } from './write-report.js';

const folder = mkdtempSync(join(tmpdir(), 'spatialsv-report-'));
const file = join(folder, 'report.html');
let report: Report;
beforeAll(async () => {
  report = await testReport(folder);
  await writeReport(report, file);
});
afterAll(() => rmSync(folder, { recursive: true }));

describe('a written report', () => {
  it('is one file that keeps every text out of its markup', () => {
    const text = readFileSync(file, 'utf8');
    const has = (part: string | RegExp) => text.search(part) >= 0;
    // As booleans: a failure does not print the page.
    expect([has('<script>window.hacked'), has('<img src=x')]).toEqual([false, false]);
    expect([has("default-src 'none'"), has(/(src|href)="https?:/)]).toEqual([true, false]);
  });

  it('is a folder with a script for each scene where the name is no page', async () => {
    const done: number[] = [];
    const out = join(folder, 'beside');
    const { page, files } = await writeReport(report, out, { onProgress: (n) => done.push(n) });
    expect([page, files, done]).toEqual([
      join(out, 'index.html'),
      ['index.html', 'scenes/a.js', 'scenes/b.js'],
      [1, 2],
    ]);
    expect(readdirSync(join(out, 'scenes'))).toEqual(['a.js', 'b.js']);
  });

  it('leaves out detail until it is as small as asked', async () => {
    const small = join(folder, 'small.html');
    await writeReport(report, small, { maxBytes: 2e6 + 24_000 });
    expect(statSync(small).size).toBeLessThan(2e6 + 24_000);
    const scene = await report.scene('a');
    const whole = await packScene(scene);
    const coarse = await packScene(scene, 12_000);
    expect([whole.label!.width, whole.label!.height]).toEqual([32, 24]);
    expect(JSON.stringify(coarse.predictions[1]!.data).length).toBeLessThan(4_000);
    expect(coarse.predictions[1]!.width).toBeGreaterThan(8);
  });

  it('says how far each model is from the label', async () => {
    const { predictions } = await packScene(await report.scene('a'));
    const values = predictions.map((maps) => maps!.metrics.map(({ value }) => value));
    expect(values[0]![0]).toBe('0.000 m');
    expect(values[1]![2]).toBe('0.100');
  });

  it('takes no scene whose key is no file name', async () => {
    const wrong = { ...report, sceneKeys: ['../a'] };
    await expect(writeReport(wrong, file)).rejects.toMatchObject({ code: 'DATA_INVALID' });
  });
});
