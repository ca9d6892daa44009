import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { readMetrics } from './run-folder/metrics-log.js';
import { openToyBackbone } from './testing/toy-backbone.js';
import { toySource } from './testing/toy-data.js';
import { TOY_HEADS, toyConfig, writeToyInputs } from './testing/toy-run.js';
import { train } from './train.js';

let folder: string;
beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'precision-'));
  await writeToyInputs(folder);
});
afterAll(() => rmSync(folder, { recursive: true }));

/** Steps whose mean is compared: single ones differ by the noise of rounding. */
const SMOOTHED = 5;

/** Losses of a run whose points are learnt: their normals are what rounding harms most. */
async function lossesIn(precision: 'float32' | 'bfloat16') {
  const learningRates = { languageModel: 2e-3, projector: 2e-3, spatial: 2e-3 };
  const config = toyConfig(folder, precision, {
    ...{ precision, tensorboard: false, schedule: { steps: 20, warmupRatio: 0 } },
    heads: { ...TOY_HEADS, tasks: ['point'] },
    losses: {},
    optimizer: { learningRates },
  });
  await train(config, { backbone: await openToyBackbone(config.model), source: toySource });
  return (await readMetrics(config.out)).map(({ losses }) => losses);
}

const smoothed = (values: readonly number[]): readonly number[] =>
  values.slice(SMOOTHED - 1).map((_, i) => {
    const part = values.slice(i, i + SMOOTHED);
    return part.reduce((sum, value) => sum + value, 0) / SMOOTHED;
  });

describe('a run in bfloat16', () => {
  it('has the loss curves of one in float32, within 2 %', async () => {
    const [exact, rounded] = [await lossesIn('float32'), await lossesIn('bfloat16')];
    for (const term of ['total', 'text', 'distillation', 'point'] as const) {
      const curve = (losses: typeof exact) => smoothed(losses.map((step) => step[term]!));
      const expected = curve(exact);
      const errors = curve(rounded).map((value, i) => Math.abs(value / expected[i]! - 1));
      expect(Math.max(...errors)).toBeLessThan(0.02);
      // They are not those of float32.
      expect(Math.max(...errors)).toBeGreaterThan(1e-6);
    }
  });
});
