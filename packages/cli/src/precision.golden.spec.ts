import { cp, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseQwen25VlConfig, qwen25Vl, qwen25VlShapes } from '@spatialsv/adapter-qwen25vl';
import { float32Source, openSafetensors, readImage, saveWeights } from '@spatialsv/core';
import { filled, type Golden, readGolden, sampledValues } from '@spatialsv/core/testing';
import { BackboneRunner } from '@spatialsv/eval';
import { checkpointFolder, readMetrics, train, trainConfigSchema } from '@spatialsv/train';

const here = (path: string) => fileURLToPath(new URL(path, import.meta.url));
const GOLDEN = here('./__golden__/autocast/');
/** Images, questions and settings are those of the run in float32. */
const ARMS = here('./__golden__/train-arms/');
const CHECKPOINT = here('../../adapter-qwen25vl/src/__golden__/checkpoint/');

interface Info {
  readonly steps: number;
  readonly samples: number;
  readonly tolerance: { readonly precision: number };
}
interface ArmsInfo {
  readonly texts: readonly (readonly [string, string] | null)[];
  readonly views: number;
  readonly optimizer: object;
  readonly learningRates: {
    readonly text: Record<'languageModel' | 'projector' | 'spatial', number>;
  };
}

let folder: string;
let golden: Golden;
let info: Info;
let arms: ArmsInfo;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'autocast-'));
  golden = await readGolden(GOLDEN);
  info = golden.info as unknown as Info;
  arms = (await readGolden(ARMS)).info as unknown as ArmsInfo;
  await cp(CHECKPOINT, join(folder, 'model'), { recursive: true });
  const config = JSON.parse(await readFile(join(CHECKPOINT, 'config.json'), 'utf8'));
  const weights = Object.entries(qwen25VlShapes(parseQwen25VlConfig(config))).map(
    ([name, shape]) => [name, float32Source(filled(name, shape), shape)] as const,
  );
  await saveWeights(join(folder, 'model'), new Map(weights));
  await writeFile(join(folder, 'text.jsonl'), arms.texts.flatMap(rowOf).join(''));
});
afterAll(() => rm(folder, { recursive: true }));

const imagesOf = (sample: number) =>
  Array.from({ length: arms.views }, (_, view) => `${sample}-${view}.png`);

const rowOf = (text: readonly [string, string] | null, sample: number): string[] =>
  text === null
    ? []
    : [
        `${JSON.stringify({ id: `q${sample}`, images: imagesOf(sample), question: text[0], answer: text[1] })}\n`,
      ];

/** ‖a − b‖ / ‖b‖. */
function distance(found: ArrayLike<number>, expected: ArrayLike<number>): number {
  const differences = Array.from(expected, (value, i) => value - found[i]!);
  return Math.hypot(...differences) / Math.hypot(...Array.from(expected));
}

describe('bfloat16 beside PyTorch under autocast', () => {
  const file = (name: string) => `bfloat16/${name}`;

  it('answers with the same tokens', async () => {
    const backbone = await qwen25Vl.open(join(folder, 'model'));
    const images = await Promise.all(imagesOf(0).map((name) => readImage(join(ARMS, name))));
    const question = arms.texts[0]![0];
    const inputs = await backbone.prepare({ images, question });
    expect([...inputs.inputIds]).toEqual([...golden.int32(file('prompt'))]);
    const runner = new BackboneRunner(backbone, { precision: 'bfloat16' });
    const expected = golden.int32(file('ids'));
    const { ids } = await runner.generate(inputs, { maxNewTokens: expected.length });
    await runner.dispose();
    expect([...ids]).toEqual([...expected]);
  });

  it('takes the same steps', async () => {
    const config = trainConfigSchema.parse({
      ...{ arm: 'text', model: join(folder, 'model'), out: join(folder, 'run') },
      data: [{ path: join(folder, 'text.jsonl'), imageRoot: ARMS }],
      optimizer: { ...arms.optimizer, learningRates: arms.learningRates.text },
      schedule: { steps: info.steps, warmupRatio: 0 },
      ...{ batchSize: arms.texts.length - 1, checkpointEvery: 1, keepCheckpoints: info.steps },
      precision: 'bfloat16',
    });
    await train(config, { backbone: await qwen25Vl.open(config.model) });
    const metrics = await readMetrics(config.out);
    const losses = metrics.map((step) => step.losses.total!);
    const norms = metrics.map((step) => step.gradientNorm);
    const { precision } = info.tolerance;
    expect(distance(losses, golden.float32(file('losses')))).toBeLessThan(precision);
    expect(distance(norms.slice(0, 1), golden.float32(file('norms')).slice(0, 1))).toBeLessThan(
      precision,
    );
    const state = await openSafetensors(
      join(checkpointFolder(config.out, 1), 'trainer/state.safetensors'),
    );
    const names = state.names.flatMap((key) => /^parameters\/(.*)$/.exec(key)?.[1] ?? []);
    const errors = await Promise.all(
      names.map(async (name) => {
        const values = sampledValues(await state.readFloat32(`parameters/${name}`), info.samples);
        return [name, distance(values, golden.float32(file(`updated/${name}`)))] as const;
      }),
    );
    expect(errors.length).toBeGreaterThan(20);
    // Adam's first step is nearly the sign of a gradient. Those of key biases are the smallest, and rounding turns some of their
    // signs: up to 1.4e-2, see docs/precision.md.
    const real = errors.filter(([name]) => !name.endsWith('k_proj.bias'));
    expect(real.filter(([, error]) => !(error <= precision))).toEqual([]);
  });
});
