import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { TrainConfigInput } from '../config/schema.js';
import { packShape } from '../data/join-samples.js';
import { readManifest } from '../run-folder/manifest.js';
import { openToyBackbone } from '../testing/toy-backbone.js';
import { toySource } from '../testing/toy-data.js';
import { ONE_SCALE, TOY_HEADS, toyConfig, writeToyInputs } from '../testing/toy-run.js';
import {
  expectGradientsClose,
  openToyStep,
  readToySamples,
  sumGradients,
} from '../testing/toy-step.js';
import { train } from '../train.js';
import { chooseRecompute, type Recompute } from './open-runner.js';
import { stepPeakBytes } from './sample-step.js';

let folder: string;
beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'recompute-'));
  await writeToyInputs(folder);
});
afterAll(() => rmSync(folder, { recursive: true }));

/** Losses of three samples, two of one shape, and the sums of their gradients. */
async function gradients(recompute: Recompute, ...input: SetUpInput) {
  const parts = await setUp(...input);
  const [first, second] = parts.samples;
  return sumGradients(parts, recompute, [[first], [second], [first]]);
}

type SetUpInput = Parameters<typeof setUp>;

/** Model, state and samples of a run, the second sample of other length. */
async function setUp(
  input: Partial<TrainConfigInput>,
  taps: readonly number[],
  withLabels: boolean,
) {
  const config = toyConfig(folder, 'run', input);
  const parts = await openToyStep(config, { taps, withLabels });
  const [first, second] = await readToySamples(config);
  const samples = [
    await parts.builder.build(first!),
    await parts.builder.build({ ...second!, question: 'where '.repeat(9) }),
  ] as const;
  return { ...parts, samples };
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
      { losses: { ...ONE_SCALE, weights: { text: 0, distillation: 0 } } },
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
    expectGradientsClose(recomputed.sums, plain.sums, 1e-6);
  });
});

describe('recompute: auto', () => {
  it('computes nothing twice as long as one graph fits the memory that is free', async () => {
    const { model, state, samples, dispose } = await setUp({}, [0, 1, 1, 2], true);
    expect(chooseRecompute(model, state, samples, { freeBytes: 1e12 })).toBe('none');
    expect(chooseRecompute(model, state, samples, { freeBytes: 1e5 })).toBe('layer');
    await dispose();
  });

  it('counts the graph that the precision of the run makes', async () => {
    const { model, state, samples, dispose } = await setUp({}, [0, 1, 1, 2], true);
    const shape = packShape([samples[1]]);
    const target = { device: 'cpu', precision: 'bfloat16' } as const;
    const [exact, rounded] = [{ device: 'cpu' }, target].map((each) =>
      stepPeakBytes(model, state, shape, each),
    ) as [number, number];
    // Room for 60 % of the one, not of the other.
    const freeBytes = (exact + rounded) / 2 / 0.6;
    const chosen = [{}, target].map((each) =>
      chooseRecompute(model, state, samples, { ...each, freeBytes }),
    );
    expect(chosen).toEqual(rounded > exact ? ['none', 'layer'] : ['layer', 'none']);
    await dispose();
  });

  it('is decided once for a run, and noted', async () => {
    const config = toyConfig(folder, 'auto', { recompute: 'auto', schedule: { steps: 1 } });
    const backbone = await openToyBackbone(config.model);
    await train(config, { backbone, source: toySource });
    expect((await readManifest(config.out))?.recompute).toBe('none');
  });
});
