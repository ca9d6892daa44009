import { cp, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseQwen25VlConfig, qwen25Vl, qwen25VlShapes } from '@spatialsv/adapter-qwen25vl';
import {
  dptGeometryHead,
  float32Source,
  type GeometryLabelsV1,
  initialiseDistillation,
  type LabellerV1,
  openSafetensors,
  saveWeights,
  writeSafetensors,
  writeSpatialCheckpoint,
} from '@spatialsv/core';
import { filled, type Golden, readGolden } from '@spatialsv/core/testing';
import {
  checkpointFolder,
  readMetrics,
  type TrainConfig,
  type TrainConfigInput,
  type TrainOptions,
  tappedLayers,
  train,
  trainConfigSchema,
} from '@spatialsv/train';

const GOLDEN = fileURLToPath(new URL('./__golden__/train-arms/', import.meta.url));
const CHECKPOINT = fileURLToPath(
  new URL('../../adapter-qwen25vl/src/__golden__/checkpoint/', import.meta.url),
);
const FEATURE_CHANNELS = 6;
const TERMS = ['text', 'distillation', 'depth', 'ray', 'point', 'total'] as const;

interface Info {
  readonly steps: number;
  readonly samples: number;
  readonly texts: readonly (readonly [string, string] | null)[];
  readonly views: number;
  readonly layers: number[];
  readonly heads: Readonly<Record<string, unknown>>;
  readonly optimizer: Omit<NonNullable<TrainConfigInput['optimizer']>, 'learningRates'>;
  readonly learningRates: Readonly<
    Record<string, Record<'languageModel' | 'projector' | 'spatial', number>>
  >;
  readonly arms: Readonly<Record<string, Partial<TrainConfigInput>>>;
  readonly tolerance: { readonly updated: number; readonly losses: number };
}

let folder: string;
let golden: Golden<Info>;
let info: Info;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'train-arms-'));
  golden = await readGolden(GOLDEN);
  info = golden.info;
  await writeData();
  await writeModel(join(folder, 'model'));
});
afterAll(() => rm(folder, { recursive: true }));

/** The samples with text, and the one without, in files of their own. */
async function writeData() {
  const rows = info.texts.map((text, sample) => ({
    id: `q${sample}`,
    images: Array.from({ length: info.views }, (_, view) => `${sample}-${view}.png`),
    ...(text !== null && { question: text[0], answer: text[1] }),
  }));
  const lines = (keep: (row: object) => boolean) =>
    rows.filter(keep).map((row) => `${JSON.stringify(row)}\n`);
  await writeFile(
    join(folder, 'text.jsonl'),
    lines((row) => 'answer' in row),
  );
  await writeFile(
    join(folder, 'images.jsonl'),
    lines((row) => !('answer' in row)),
  );
}

/** The checkpoint of the golden case: weights are functions of their names. */
async function writeModel(target: string) {
  await cp(CHECKPOINT, target, { recursive: true });
  const text = await readFile(join(target, 'config.json'), 'utf8');
  const shapes = qwen25VlShapes(parseQwen25VlConfig(JSON.parse(text)));
  const weights = Object.entries(shapes).map(
    ([name, shape]) => [name, float32Source(filled(name, shape), shape)] as const,
  );
  await saveWeights(target, new Map(weights));
}

/** Puts the heads of an arm beside the weights, so that training starts from them. */
async function writeHeads(config: TrainConfig) {
  const { heads, signals } = config;
  if (signals.length === 0) return;
  const tasks = heads['tasks'] as string[];
  const { type: _, ...options } = heads;
  const model = await dptGeometryHead.configure(tasks.length === 0 ? { tasks } : options);
  const backbone = (await qwen25Vl.open(config.model)).config;
  const taps = tappedLayers(config, backbone, model.tapCount);
  const width = backbone.hiddenSize;
  const featureChannels = signals.includes('feat') ? FEATURE_CHANNELS : 0;
  const fresh = {
    ...model.initialise(
      taps.map(() => width),
      0,
    ),
    ...(featureChannels > 0 && initialiseDistillation(width, featureChannels, 0)),
  };
  const parameters = Object.fromEntries(
    Object.entries(fresh).map(([name, { shape }]) => [name, { data: filled(name, shape), shape }]),
  );
  await writeSpatialCheckpoint(config.model, { taps, heads: model, featureChannels, parameters });
}
/** Labels as a source gives them: metric, in a world of their own. */
async function openLabels(): Promise<LabellerV1> {
  const reader = await openSafetensors(join(GOLDEN, 'labels.safetensors'));
  const read = (sample: string, name: string) => reader.readFloat32(`${sample}.${name}`);
  const labelsOf = async (sample: string): Promise<GeometryLabelsV1> => {
    const [views, height, width] = reader.info(`${sample}.depth`).shape as [number, number, number];
    const [, h, w, channels] = reader.info(`${sample}.features`).shape as number[];
    return {
      conventions: {
        axes: 'opencv',
        extrinsics: 'world-to-camera',
        pixelCentre: 'half',
        depth: 'z-depth',
        scale: 'metric-metres',
        world: 'source',
      },
      ...{ views, height, width },
      depth: await read(sample, 'depth'),
      mask: Uint8Array.from(await read(sample, 'mask')),
      intrinsics: await read(sample, 'intrinsics'),
      extrinsicsWorldToCamera: await read(sample, 'extrinsics'),
      features: { data: await read(sample, 'features'), h: h!, w: w!, channels: channels! },
    };
  };
  return {
    sourceId: 'golden',
    provides: ['depth', 'camera', 'feature'],
    provenance: {
      ...{ source: 'golden', model: 'golden', settings: {} },
      licence: { name: 'Apache-2.0', commercialUse: true },
    },
    dispose: async () => undefined,
    doLabel: ({ images }) => labelsOf(basename(images[0]!).split('-')[0]!),
  };
}

async function trainArm(name: string, arm: Partial<TrainConfigInput>): Promise<TrainConfig> {
  const file = (path: string) => ({ path: join(folder, path), imageRoot: GOLDEN });
  const texts = [file('text.jsonl')];
  const hasLabels = arm.arm !== 'text';
  const model = join(folder, `model-${name}`);
  await cp(join(folder, 'model'), model, { recursive: true });
  const config = trainConfigSchema.parse({
    model,
    out: join(folder, name),
    data: hasLabels ? [...texts, file('images.jsonl')] : texts,
    source: 'golden',
    heads: info.heads as TrainConfigInput['heads'],
    layers: info.layers,
    optimizer: { ...info.optimizer, learningRates: info.learningRates[name]! },
    schedule: { steps: info.steps, warmupRatio: 0 },
    // All samples in every step: their order does not matter.
    batchSize: info.texts.length - (hasLabels ? 0 : 1),
    checkpointEvery: 1,
    keepCheckpoints: info.steps,
    ...arm,
  });
  await writeHeads(config);
  const options = { backbone: await qwen25Vl.open(model), source: await openLabels() };
  if (arm.lora !== undefined) await beginWithUpdates(config, options);
  await train(config, { ...options, resume: arm.lora !== undefined });
  return config;
}

/** A run before its first step, whose low-rank updates are functions of their names too. */
async function beginWithUpdates(config: TrainConfig, options: TrainOptions) {
  const abort = new AbortController();
  await train(config, { ...options, signal: abort.signal, onStart: () => abort.abort() });
  const file = join(checkpointFolder(config.out, 0), 'trainer/state.safetensors');
  const state = await openSafetensors(file);
  const tensors = await Promise.all(
    state.names.map(async (key) => {
      const { shape } = state.info(key);
      const name = /^parameters\/(.*\.lora_[AB]\.weight)$/.exec(key)?.[1];
      const data = name === undefined ? await state.readFloat32(key) : filled(name, [...shape]);
      return [key, float32Source(data, shape)] as const;
    }),
  );
  await writeSafetensors(file, new Map(tensors));
}

const norm = (values: Iterable<number>) =>
  Math.sqrt([...values].reduce((sum, x) => sum + x * x, 0));

const difference = (a: ArrayLike<number>, b: ArrayLike<number>) =>
  norm(Array.from(a, (value, index) => value - b[index]!)) / norm(Array.from(b));

/** The values that the golden case keeps of a tensor. */
const spread = (values: Float32Array, samples: number) =>
  values.length <= 2 * samples
    ? values
    : Float32Array.from(
        { length: samples },
        (_, k) => values[Math.floor((k * values.length) / samples)]!,
      );

const ARMS = [
  ...['text', 'distill', 'spatialsv', 'depth-shared', 'adaptive'],
  ...['lora-text', 'lora-distill', 'lora-spatialsv'],
];

describe.each(ARMS)('arm %s beside PyTorch', (name) => {
  let config: TrainConfig;
  beforeAll(async () => {
    config = await trainArm(name, info.arms[name]!);
  });

  it('has the same tensors after one step', async () => {
    const file = join(checkpointFolder(config.out, 1), 'trainer/state.safetensors');
    const state = await openSafetensors(file);
    const ours = state.names.flatMap((key) => /^parameters\/(.*)$/.exec(key)?.[1] ?? []);
    const theirs = golden.names
      .flatMap((key) => (key.startsWith(`${name}/`) ? key.slice(name.length + 1) : []))
      .filter((key) => key !== 'losses' && key !== 'norms');
    expect(ours.sort()).toEqual(theirs.sort());
    const errors = await Promise.all(
      ours.map(async (key) => {
        const values = spread(await state.readFloat32(`parameters/${key}`), info.samples);
        return [key, difference(values, golden.float32(`${name}/${key}`))] as const;
      }),
    );
    expect(errors.filter(([, error]) => !(error <= info.tolerance.updated))).toEqual([]);
  });

  it('has the same losses over twenty', async () => {
    const metrics = await readMetrics(config.out);
    const expected = golden.float32(`${name}/losses`);
    const norms = golden.float32(`${name}/norms`);
    expect(metrics).toHaveLength(info.steps);
    expect(Math.abs(metrics[0]!.gradientNorm / norms[0]! - 1)).toBeLessThan(1e-5);
    const errors = metrics.map(({ losses }, step) =>
      Math.max(
        ...TERMS.map((term, index) =>
          lossError(losses[term], expected[step * TERMS.length + index]!),
        ),
      ),
    );
    expect(errors.filter((error) => !(error <= info.tolerance.losses))).toEqual([]);
  });
});

/** Relative to the loss, or to 0.1 where it is smaller; −1 stands for none. */
function lossError(value: number | null, expected: number): number {
  if (expected === -1) return value === null ? 0 : Number.POSITIVE_INFINITY;
  return Math.abs(value! - expected) / Math.max(Math.abs(expected), 0.1);
}
