import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { builtInContributions } from '@spatialsv/core';
import { completeConfig } from '../config/run-config.js';
import { SampleInputsBuilder } from '../data/sample-inputs.js';
import { TrainingData } from '../data/training-data.js';
import { VisionFeatures } from '../data/vision-features.js';
import { GradientStatistics } from '../gradient-statistics.js';
import { createModelState } from '../model-state.js';
import { readMetrics } from '../run-folder/metrics-log.js';
import { openToyBackbone } from '../testing/toy-backbone.js';
import { toyLabels, toySource } from '../testing/toy-data.js';
import { ONE_SCALE, TOY_HEADS, toyConfig, writeToyInputs } from '../testing/toy-run.js';
import { train } from '../train.js';
import { SampleStep } from './sample-step.js';

let folder: string;
beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'gradients-'));
  await writeToyInputs(folder);
});
afterAll(() => rmSync(folder, { recursive: true }));

const TERMS = ['text', 'distillation', 'depth'] as const;
const WEIGHTS = { text: 1, distillation: 0.5, depth: 2, ray: 0, point: 0 };

async function setUp() {
  const backbone = await openToyBackbone(join(folder, 'model'));
  const config = completeConfig(
    toyConfig(folder, 'run', { losses: { ...ONE_SCALE, weights: WEIGHTS } }),
    backbone.config,
  );
  const { type, ...options } = config.heads;
  const find = builtInContributions().resolveGeometryHead;
  const heads = { model: await find(type).configure(options), taps: [0, 1, 1, 2], find };
  const state = await createModelState(config, backbone, heads, toyLabels(2));
  const features = new VisionFeatures(backbone, { device: 'cpu', modelHash: '' });
  const parts = { backbone, features, heads: heads.model, source: toySource, distils: true };
  const sample = await (await TrainingData.read(config)).at(0);
  const inputs = await new SampleInputsBuilder(parts).build(sample!);
  await features.dispose();
  const model = { backbone, heads: heads.model, losses: config.losses, taps: heads.taps };
  return { model, state, inputs };
}

type SetUp = Awaited<ReturnType<typeof setUp>>;

/** Gradient of one term as the step takes it, by parameter. */
async function gradientOf({ model, state, inputs }: SetUp, term: (typeof TERMS)[number]) {
  const none = { text: 0, distillation: 0, depth: 0, ray: 0, point: 0 };
  const weights = { ...none, [term]: WEIGHTS[term] };
  const step = new SampleStep({ ...model, losses: { ...model.losses, weights } }, state, {
    device: 'cpu',
  });
  await step.run([inputs]);
  await step.dispose();
  const gradient: Record<string, Float32Array> = {};
  for (const [name, tensor] of Object.entries(state.optimizer.accumulators)) {
    gradient[name] = Float32Array.from((await tensor.read()) as Float32Array);
    await tensor.write(new Float32Array(gradient[name].length));
  }
  return gradient;
}

type Gradient = Awaited<ReturnType<typeof gradientOf>>;

const dot = (a: Gradient, b: Gradient, prefix: RegExp) =>
  Object.keys(a)
    .filter((name) => prefix.test(name))
    .reduce((sum, name) => sum + a[name]!.reduce((part, x, i) => part + x * b[name]![i]!, 0), 0);

describe('gradients of the terms of a sample', () => {
  it('have the shares and angles of those that the step takes term by term', async () => {
    const given = await setUp();
    const statistics = new GradientStatistics(given.model, given.state, { device: 'cpu' });
    const { share, cosineWithText } = (await statistics.measure(given.inputs))!;
    await statistics.dispose();
    const gradients = [];
    for (const term of TERMS) gradients.push(await gradientOf(given, term));
    const norms = gradients.map((gradient) => Math.sqrt(dot(gradient, gradient, /./)));
    const whole = norms.reduce((sum, norm) => sum + norm);
    for (const [index, term] of TERMS.entries())
      expect(share[term]).toBeCloseTo(norms[index]! / whole, 5);
    const groups = { 'language-model': /^(model|lm_head)\./, projector: /^visual\./ };
    for (const [group, prefix] of Object.entries(groups)) {
      const [text, ...others] = gradients as [Gradient, ...Gradient[]];
      others.forEach((other, index) => {
        const length = Math.sqrt(dot(text, text, prefix) * dot(other, other, prefix));
        const cosine = cosineWithText![group]![TERMS[index + 1]!]!;
        expect(cosine).toBeCloseTo(dot(text, other, prefix) / length, 4);
      });
    }
    // No text passes through projectors and heads.
    expect(cosineWithText!['spatial']).toEqual({ distillation: null, depth: null });
    await given.state.optimizer.dispose();
  });

  it('are in the metrics every so many steps, and change nothing', async () => {
    const run = async (out: string, gradientStatisticsEvery?: number) => {
      const more = gradientStatisticsEvery === undefined ? {} : { gradientStatisticsEvery };
      const config = toyConfig(folder, out, { heads: TOY_HEADS, ...more });
      await train(config, { backbone: await openToyBackbone(config.model), source: toySource });
      return readMetrics(config.out);
    };
    const looked = await run('looked', 3);
    expect(looked.map(({ gradients }) => gradients !== undefined)).toEqual([
      ...[true, false, false, true],
    ]);
    const shares = Object.values(looked[0]!.gradients!.share);
    expect(shares.reduce((sum, share) => sum + share)).toBeCloseTo(1, 6);
    const alone = await run('alone');
    expect(looked.map(({ losses }) => losses)).toEqual(alone.map(({ losses }) => losses));
  });
});
