import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { composePlugins } from '../composition.js';
import { silentProgress } from '../progress.js';
import { runForTest } from '../testing/test-run.js';
import { formatResults } from './results.js';
import { runDemo } from './run-demo.js';
import { DEMO, type DemoSettings } from './settings.js';

/** Every stage of the demo, with next to nothing to do. */
const TOY: DemoSettings = {
  ...DEMO,
  imageSize: 56,
  rooms: { ...DEMO.rooms, questionsPerScene: 2 },
  trainRooms: 2,
  heldOutRooms: 2,
  heldOutQuestions: 3,
  model: { ...DEMO.model, hiddenSize: 32, heads: 2 },
  training: { ...DEMO.training, schedule: { steps: 2 }, batchSize: 2 },
};

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'spatialsv-demo-'));
});
afterEach(() => rmSync(folder, { recursive: true }));

describe('demo', () => {
  it('goes through every stage and writes its results and report', async () => {
    const context = {
      out() {},
      err() {},
      progress: silentProgress,
      signal: new AbortController().signal,
      folder,
    };
    const results = await runDemo(TOY, folder, context, await composePlugins(folder));
    expect(results.accuracy.after.overall.total).toBe(3);
    expect(results.accuracy.significance).toEqual(results.accuracy.after.significance);
    expect(results.depthRmse.constant.rmse).toBeGreaterThan(0);
    const { before, after, constant, ratio } = results.depthRmse;
    expect([before.pixels, after.pixels]).toEqual([constant.pixels, constant.pixels]);
    expect(ratio).toBeCloseTo(after.rmse / constant.rmse, 12);
    expect(existsSync(results.report)).toBe(true);
    const written = JSON.parse(readFileSync(join(folder, 'results.json'), 'utf8'));
    expect(Object.keys(written.seconds)).toEqual(
      expect.arrayContaining(['render', 'training', 'total']),
    );
    expect(written.goals).toEqual(results.goals);
    expect(formatResults(results)).toContain('depth RMSE');
  });

  it('does not write into a folder with other things in it', async () => {
    writeFileSync(join(folder, 'thesis.txt'), '');
    const { exitCode, err } = await runForTest(['demo', '--out', folder]);
    expect(exitCode).toBe(2);
    expect(err).toContain('error[USAGE]');
  });
});
