import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { runForTest } from '../test-run.js';

const root = mkdtempSync(join(tmpdir(), 'spatialsv-check-'));
afterAll(() => rmSync(root, { recursive: true }));

describe('check', () => {
  it('tells what a model folder is', async () => {
    const model = join(root, 'model');
    await runForTest(['tiny', '--family', 'qwen2.5-vl', '--out', model, '--layers', '2']);
    const { exitCode, out } = await runForTest(['check', model, '--json']);
    const [report] = JSON.parse(out);
    expect([exitCode, report.kind, report.findings]).toEqual([0, 'model', []]);
    expect(report.summary).toContain('qwen2.5-vl');
  });

  it('ends with 1 and prints every finding', async () => {
    const data = join(root, 'data.jsonl');
    writeFileSync(data, '{"id":"1","images":["gone.png"]}\n');
    const { exitCode, out, err } = await runForTest(['check', data]);
    expect(exitCode).toBe(1);
    expect(out).toMatch(/data\.jsonl: .*\n.*samples +0\n {2}error\[FILE_MISSING\]: .*gone\.png/);
    expect(err).toMatch(/1 error and 0 warnings/);
  });
});
