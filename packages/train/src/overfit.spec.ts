import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import type { LabellerV1 } from '@spatialsv/core';
import type { Arm } from './config/arms.js';
import { readMetrics } from './run-folder/metrics-log.js';
import { openToyBackbone } from './testing/toy-backbone.js';
import { toyLabels, toySource } from './testing/toy-data.js';
import { toyConfig, writeToyInputs } from './testing/toy-run.js';
import { train } from './train.js';

const SAMPLES = 32;

let folder: string;
beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'overfit-'));
  await writeToyInputs(folder, SAMPLES);
});
afterAll(() => rmSync(folder, { recursive: true }));

/** Every scene has a wall of its own, nearer on one side or the other. */
const source: LabellerV1 = {
  ...toySource,
  doLabel: async ({ images }) => {
    const labels = toyLabels(images.length);
    const slope = (Number.parseInt(basename(images[0]!), 10) % 5) / 10;
    return { ...labels, depth: labels.depth.map((_, pixel) => 2 + slope * (pixel % 8)) };
  },
};

describe('a tiny model', () => {
  it.each<[Arm, number, readonly string[]]>([
    ['text', 40, ['text']],
    ['distill', 40, ['text', 'distillation']],
    ['spatialsv', 60, ['text', 'distillation', 'depth']],
  ])('learns 32 samples by heart in the arm %s, in %i epochs', async (arm, epochs, terms) => {
    const config = toyConfig(folder, arm, {
      arm,
      batchSize: 8,
      schedule: { epochs, warmupRatio: 0 },
      evaluation: { data: [{ path: join(folder, 'data.jsonl') }], every: 1000 },
      tensorboard: false,
    });
    await train(config, { backbone: await openToyBackbone(config.model), source });
    const metrics = await readMetrics(config.out);
    const { losses, accuracy, depthRmse } = metrics.at(-1)!.heldOut!;
    const learnt = Object.entries(losses).filter(
      ([term, value]) => term !== 'total' && value !== null,
    );
    expect(learnt.map(([term]) => term)).toEqual(terms);
    expect(losses.text!).toBeLessThan(0.01);
    expect(accuracy).toBe(1);
    if (arm !== 'spatialsv') return expect(depthRmse).toBeNull();
    expect(depthRmse!).toBeLessThan(0.05);
    expect(losses.distillation!).toBeLessThan(0.5 * metrics[0]!.losses.distillation!);
  });
});
