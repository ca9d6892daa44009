import { builtInContributions } from '@spatialsv/core';
import { completeConfig } from '../config/run-config.js';
import type { TrainConfig } from '../config/schema.js';
import { type SampleInputs, SampleInputsBuilder } from '../data/sample-inputs.js';
import { TrainingData, type TrainingSample } from '../data/training-data.js';
import { VisionFeatures } from '../data/vision-features.js';
import { createModelState, type ModelState } from '../model-state.js';
import { openRunner, type Recompute } from '../step/open-runner.js';
import type { SampleLosses } from '../step/sample-runner.js';
import type { StepModel } from '../step/step-program.js';
import { openToyBackbone } from './toy-backbone.js';
import { toyLabels, toySource } from './toy-data.js';

export interface ToyStep {
  readonly model: StepModel;
  readonly state: ModelState;
  readonly builder: SampleInputsBuilder;
  dispose(): Promise<void>;
}

/** Model, state and sample inputs of a run on what `writeToyInputs` wrote, without the run. */
export async function openToyStep(
  config: TrainConfig,
  { taps, withLabels }: { readonly taps: readonly number[]; readonly withLabels: boolean },
): Promise<ToyStep> {
  const backbone = await openToyBackbone(config.model);
  const run = completeConfig(config, backbone.config);
  const { type, ...options } = run.heads;
  const find = builtInContributions().resolveGeometryHead;
  const heads = { model: await find(type).configure(options), taps, find };
  const labels = withLabels ? toyLabels(2) : undefined;
  const features = new VisionFeatures(backbone, { device: 'cpu', modelHash: '' });
  const builder = new SampleInputsBuilder({
    backbone,
    features,
    heads: heads.model,
    source: withLabels ? toySource : undefined,
    distils: true,
  });
  const state = await createModelState(run, backbone, heads, labels);
  return {
    model: { backbone, heads: heads.model, losses: run.losses, taps },
    state,
    builder,
    dispose: async () => {
      await features.dispose();
      await state.optimizer.dispose();
    },
  };
}

export async function readToySamples(
  config: Pick<TrainConfig, 'data' | 'seed'>,
): Promise<readonly TrainingSample[]> {
  const samples: TrainingSample[] = [];
  for await (const sample of await TrainingData.read(config)) samples.push(sample);
  return samples;
}

export interface SummedGradients {
  /** Of each sample. */
  readonly losses: readonly SampleLosses[];
  readonly sums: Readonly<Record<string, Float32Array>>;
}

/** Losses of samples, those of a pack computed together, and the sums of all their gradients. Disposes the step. */
export async function sumGradients(
  { model, state, dispose }: Pick<ToyStep, 'model' | 'state' | 'dispose'>,
  recompute: Recompute,
  packs: readonly (readonly SampleInputs[])[],
): Promise<SummedGradients> {
  const runner = openRunner(model, state, { recompute, device: 'cpu' });
  const losses: SampleLosses[] = [];
  for (const pack of packs) {
    runner.prepare(pack);
    losses.push(...(await runner.run(pack)));
  }
  const sums: Record<string, Float32Array> = {};
  for (const [name, tensor] of Object.entries(state.optimizer.accumulators))
    sums[name] = Float32Array.from((await tensor.read()) as Float32Array);
  await runner.dispose();
  await dispose();
  return { losses, sums };
}

const norm = (values: Float32Array) =>
  Math.sqrt(values.reduce((sum, value) => sum + value ** 2, 0));

/** Every gradient to a share of its largest value; what is a thousandth of the others is rounding, such as biases of keys. */
export function expectGradientsClose(
  found: SummedGradients['sums'],
  expected: SummedGradients['sums'],
  tolerance: number,
): void {
  expect(Object.keys(found)).toEqual(Object.keys(expected));
  const largest = Math.max(...Object.values(expected).map(norm));
  expect(largest).toBeGreaterThan(0);
  for (const [name, values] of Object.entries(expected)) {
    const worst = Math.max(...values.map((value, i) => Math.abs(value - found[name]![i]!)));
    const scale = Math.max(...values.map(Math.abs));
    if (worst > tolerance * Math.max(scale, 1e-3 * largest))
      throw new Error(`${name}: differs by ${worst}, of ${scale}`);
  }
}
