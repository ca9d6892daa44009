import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { readGolden } from '@spatialsv/core/testing';
import { AdaptiveWeights } from './adaptive-weights.js';
import { checkpointFolder } from './checkpoint/checkpoint.js';
import { trainConfigSchema } from './config/schema.js';
import { readMetrics } from './run-folder/metrics-log.js';
import { LOG_VARIANCES } from './step/log-variances.js';
import type { SampleLosses } from './step/sample-runner.js';
import { TERMS } from './step/terms.js';
import { openToyBackbone } from './testing/toy-backbone.js';
import { toySource } from './testing/toy-data.js';
import { ONE_SCALE, toyConfig, writeToyInputs } from './testing/toy-run.js';
import { type TrainOptions, train } from './train.js';

const GOLDEN = join(__dirname, '__golden__/adaptive-weights');

let folder: string;
beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'adaptive-'));
  await writeToyInputs(folder);
});
afterAll(() => rmSync(folder, { recursive: true }));

describe('log-variances of the terms', () => {
  it('take the steps of torch.optim.AdamW, with and without terms and at the limit', async () => {
    const golden = await readGolden<
      Record<'steps' | 'samples' | 'learningRate' | 'limit', number> & {
        readonly weights: readonly number[];
      }
    >(GOLDEN);
    const { steps, samples, learningRate, limit, weights } = golden.info;
    const config = trainConfigSchema.parse({
      ...{ model: 'm', data: [{ path: 'd' }], source: 'toy', out: 'o' },
      adaptiveWeights: { learningRate, limit },
      losses: { weights: Object.fromEntries(TERMS.map((term, i) => [term, weights[i]])) },
    });
    const adaptive = new AdaptiveWeights(config);
    const losses = golden.float32('losses');
    const [expected, factors] = [golden.float32('logVariances'), golden.float32('factors')];
    for (let step = 0; step < steps; step++) {
      for (let sample = 0; sample < samples; sample++) {
        const at = TERMS.length * (step * samples + sample);
        const values = TERMS.map((term, i) => [term, orNull(losses[at + i]!)] as const);
        adaptive.add(Object.fromEntries(values) as SampleLosses);
      }
      await adaptive.step(step + 1, samples, factors[step]!);
      for (const [i, s] of adaptive.state!.logVariances.entries())
        expect(Math.abs(s - expected[TERMS.length * step + i]!)).toBeLessThan(1e-6);
    }
    const final = adaptive.state!.logVariances;
    expect(final[TERMS.indexOf('ray')]).toBe(-limit);
    expect([...(await adaptive.tensors[LOG_VARIANCES]!.read())]).toEqual(final.map(Math.fround));
  });
});

const orNull = (value: number) => (Number.isNaN(value) ? null : value);

async function run(out: string, options: Partial<TrainOptions> = {}, input = {}) {
  const config = toyConfig(folder, out, {
    adaptiveWeights: { learningRate: 0.1, limit: 3 },
    schedule: { steps: 6, warmupRatio: 0 },
    ...input,
  });
  const backbone = await openToyBackbone(config.model);
  await train(config, { backbone, source: toySource, ...options });
  return config;
}

const computed = async (out: string) =>
  (await readMetrics(out)).map(({ losses, termWeights, gradientNorm }) => ({
    ...{ losses, termWeights, gradientNorm },
  }));

describe('a run with adaptive weights', () => {
  it('begins with the fixed ones, follows the losses and says so', async () => {
    const { out } = await run('run', {}, { losses: { ...ONE_SCALE, weights: { text: 2 } } });
    const metrics = await readMetrics(out);
    expect(metrics[0]!.termWeights).toEqual({ text: 2, distillation: 1, depth: 1 });
    const last = metrics.at(-1)!;
    // A weight falls as long as it is above 1 / (2 L).
    expect(last.termWeights!.text!).toBeLessThan(2);
    for (const { losses, termWeights } of metrics) {
      const sum = Object.entries(termWeights!).reduce((total, [term, weight]) => {
        const base = term === 'text' ? 2 : 1;
        return total + weight * losses[term as 'text']! - 0.5 * Math.log(weight / base);
      }, 0);
      expect(losses.total!).toBeCloseTo(sum, 4);
    }
  });

  it('continues bit for bit after an interruption', async () => {
    const { out } = await run('straight');
    const abort = new AbortController();
    const onStep = ({ step }: { step: number }) => step === 3 && abort.abort();
    await run('resumed', { onStep, signal: abort.signal });
    const resumed = await run('resumed', { resume: true });
    expect(await computed(resumed.out)).toEqual(await computed(out));
    const state = (name: string) =>
      readFileSync(join(checkpointFolder(name, 6), 'trainer/state.safetensors'));
    expect(state(resumed.out).equals(state(out))).toBe(true);
  });

  it('has the gradients of one graph where layers are computed again', async () => {
    const { out } = await run('one-graph');
    const layered = await run('layered', {}, { recompute: 'layer' });
    const [whole, parts] = [await computed(out), await computed(layered.out)];
    for (const [step, { losses }] of whole.entries())
      expect(parts[step]!.losses.total!).toBeCloseTo(losses.total!, 4);
    expect(parts[1]!.gradientNorm / whole[1]!.gradientNorm).toBeCloseTo(1, 5);
  });
});
