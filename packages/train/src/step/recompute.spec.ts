import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { builtInContributions, type SampleV1 } from '@spatialsv/core';
import { completeConfig } from '../config/run-config.js';
import type { TrainConfigInput } from '../config/schema.js';
import { SampleInputsBuilder } from '../data/sample-inputs.js';
import { readTrainingData } from '../data/training-data.js';
import { VisionFeatures } from '../data/vision-features.js';
import { createModelState } from '../model-state.js';
import { readManifest } from '../run-folder/manifest.js';
import { openToyBackbone } from '../testing/toy-backbone.js';
import { toyLabels, toySource } from '../testing/toy-data.js';
import { TOY_HEADS, toyConfig, writeToyInputs } from '../testing/toy-run.js';
import { train } from '../train.js';
import { chooseRecompute, openRunner, type Recompute } from './open-runner.js';

let folder: string;
beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'recompute-'));
  await writeToyInputs(folder);
});
afterAll(() => rmSync(folder, { recursive: true }));

/** Model, state and samples of a run, the second sample of other length. */
async function setUp(
  input: Partial<TrainConfigInput>,
  taps: readonly number[],
  withLabels: boolean,
) {
  const backbone = await openToyBackbone(join(folder, 'model'));
  const config = completeConfig(toyConfig(folder, 'run', input), backbone.config);
  const { type, ...options } = config.heads;
  const find = builtInContributions().resolveGeometryHead;
  const heads = { model: await find(type).configure(options), taps, find };
  const labels = withLabels ? toyLabels(2) : undefined;
  const state = await createModelState(config, backbone, heads, labels);
  const features = new VisionFeatures(backbone, { device: 'cpu', modelHash: '' });
  const source = withLabels ? toySource : undefined;
  const builder = new SampleInputsBuilder({
    backbone,
    features,
    heads: heads.model,
    source,
    distils: true,
  });
  const [first, second] = (await readTrainingData(config)).samples as unknown as SampleV1[];
  const samples = [
    await builder.build(first!),
    await builder.build({ ...second!, question: 'where '.repeat(9) }),
  ] as const;
  await features.dispose();
  return { model: { backbone, heads: heads.model, losses: config.losses, taps }, state, samples };
}

/** Losses of three samples, two of one shape, and the sums of their gradients. */
async function gradients(recompute: Recompute, ...input: Parameters<typeof setUp>) {
  const { model, state, samples } = await setUp(...input);
  const runner = openRunner(model, state, { recompute, device: 'cpu' });
  const losses = [];
  for (const inputs of [...samples, samples[0]]) {
    runner.prepare(inputs);
    losses.push(await runner.run(inputs));
  }
  const sums: Record<string, Float32Array> = {};
  for (const [name, tensor] of Object.entries(state.optimizer.accumulators))
    sums[name] = Float32Array.from((await tensor.read()) as Float32Array);
  await runner.dispose();
  await state.optimizer.dispose();
  return { losses, sums };
}

const ALL = { ...TOY_HEADS, tasks: ['depth' as const, 'ray' as const, 'point' as const] };

describe('recomputing every layer', () => {
  it.each<[string, Partial<TrainConfigInput>, readonly number[], boolean]>([
    ['all losses', { heads: ALL }, [0, 1, 1, 2], true],
    ['text alone', {}, [0, 1, 1, 2], false],
    [
      'a part of the parameters',
      { trained: ['model.layers.1.**', 'spatial.**'] },
      [1, 1, 1, 1],
      true,
    ],
    ['heads alone', { train: { llm: 'frozen', mm: 'frozen' } }, [0, 2, 2, 2], true],
    [
      'taps below the last layer',
      { losses: { weights: { text: 0, distillation: 0 } } },
      [1, 1, 1, 1],
      true,
    ],
  ])('gives the gradients of one graph to 1e-6: %s', async (_what, input, taps, withLabels) => {
    const plain = await gradients('none', input, taps, withLabels);
    const recomputed = await gradients('layer', input, taps, withLabels);
    for (const [index, losses] of plain.losses.entries())
      for (const [term, value] of Object.entries(losses))
        if (value === null) expect(recomputed.losses[index]![term as 'total']).toBeNull();
        else expect(recomputed.losses[index]![term as 'total']).toBeCloseTo(value, 5);
    expect(Object.keys(recomputed.sums)).toEqual(Object.keys(plain.sums));
    const largest = Math.max(...Object.values(plain.sums).map((sum) => norm(sum)));
    expect(largest).toBeGreaterThan(0);
    for (const [name, expected] of Object.entries(plain.sums)) {
      const found = recomputed.sums[name]!;
      const worst = Math.max(...expected.map((value, i) => Math.abs(value - found[i]!)));
      const scale = Math.max(...expected.map(Math.abs));
      // Biases of keys have no gradient but rounding.
      if (worst > 1e-6 * Math.max(scale, 1e-3 * largest))
        throw new Error(`${name}: differs by ${worst}, of ${scale}`);
    }
  });
});

describe('recompute: auto', () => {
  it('computes nothing twice as long as one graph fits the memory that is free', async () => {
    const { model, state, samples } = await setUp({}, [0, 1, 1, 2], true);
    expect(chooseRecompute(model, state, samples, 1e12)).toBe('none');
    expect(chooseRecompute(model, state, samples, 1e5)).toBe('layer');
    await state.optimizer.dispose();
  });

  it('is decided once for a run, and noted', async () => {
    const config = toyConfig(folder, 'auto', { recompute: 'auto', schedule: { steps: 1 } });
    const backbone = await openToyBackbone(config.model);
    await train(config, { backbone, source: toySource });
    expect((await readManifest(config.out))?.recompute).toBe('none');
  });
});

const norm = (values: Float32Array) =>
  Math.sqrt(values.reduce((sum, value) => sum + value ** 2, 0));
