import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import {
  compile,
  type DeviceTensor,
  float32,
  parameterScope,
  resamplePositionEmbedding,
  sizeOf,
  type Tensor,
  tf,
} from '@spatialsv/core/kit';
import type { Parameters } from '@spatialsv/core/spec';
import { type Golden, readGolden } from '@spatialsv/core/testing';
import { goldenPixels, writeFilled } from './__fixtures__/filled-model.js';
import { aggregateStep, encodePatches, viewRotary, withSpecialTokens } from './vggt-aggregator.js';
import { cameraHead } from './vggt-camera-head.js';
import { decodeCameras } from './vggt-cameras.js';
import { VggtModel, type VggtPrediction } from './vggt-model.js';

const CASES = ['three-views', 'one-view', 'portrait', 'five-views', 'same-count', 'one-row'];

interface CaseInfo {
  readonly config: Readonly<Record<string, unknown>>;
  readonly views: number;
  readonly size: readonly [number, number];
  readonly tolerance: { readonly relative: number };
  readonly parameters: { readonly tensors: number; readonly values: number };
  readonly tensors: Readonly<Record<string, { shape: number[]; mean?: number; rms?: number }>>;
}

const SAMPLES = 160;

/** Depth and confidences are exponentials, far from zero: their error is relative to the value alone. */
const hasFloor = (name: string): boolean =>
  !name.startsWith('depth') && !name.endsWith('Confidence');

const sampled = (values: Float32Array): number[] =>
  values.length <= 2 * SAMPLES
    ? [...values]
    : Array.from({ length: SAMPLES }, (_, k) => values[(7919 * k) % values.length]!);

/** Largest error of the sampled values, of the mean and of the root mean square, each relative as case.json says. */
function worstError(golden: Golden<CaseInfo>, name: string, actual: Float32Array): number {
  const { shape, mean, rms } = golden.info.tensors[name]!;
  expect(actual).toHaveLength(sizeOf(shape));
  const expected = golden.float32(name);
  const floor = hasFloor(name) && rms !== undefined && Number.isFinite(rms) ? rms : 0;
  const errors = sampled(actual).map((value, i) => {
    if (value === expected[i]) return 0;
    return Math.abs(value - expected[i]!) / Math.max(Math.abs(expected[i]!), floor);
  });
  if (mean !== undefined) {
    const sum = actual.reduce((a, b) => a + b, 0);
    const squares = actual.reduce((a, b) => a + b * b, 0);
    errors.push(Math.abs(sum / actual.length - mean) / rms!);
    errors.push(Math.abs(Math.sqrt(squares / actual.length) - rms!) / rms!);
  }
  return Math.max(...errors);
}

/** Every named value before the dense heads. */
async function intermediates(
  { weights: { config, tensors } }: VggtModel,
  pixels: Float32Array,
  { views, size: [height, width] }: CaseInfo,
): Promise<Record<string, Float32Array>> {
  const program = ({ images, parameters }: { images: Tensor; parameters: Parameters }) => {
    const root = parameterScope(parameters);
    const aggregator = root.scope('aggregator');
    const encoder = aggregator.scope('patch_embed');
    const table = encoder.get('pos_embed');
    const grid = { h: height / config.patchSize, w: width / config.patchSize };
    const resampled = resamplePositionEmbedding(table, grid, { kind: 'antialiased' });
    const first = tf.reshape(tf.slice(table, [0, 0, 0], [1, 1, config.width]), [1, config.width]);
    const all = Array.from({ length: config.aggregator.depth }, (_, i) => i);
    const patches = encodePatches(config, encoder, images);
    const rotary = viewRotary(config, grid);
    const steps = new Map<number, Tensor>();
    let state: readonly Tensor[] = tf.split(withSpecialTokens(aggregator, patches), views, 0);
    for (const index of all) {
      const { tokens, joined } = aggregateStep(config, aggregator, state, index, rotary);
      steps.set(index, joined());
      state = tokens;
    }
    const last = steps.get(all.at(-1)!)!;
    const tokens = tf.slice(last, [0, 0, 0], [views, 1, 2 * config.width]);
    const poses = cameraHead(
      config,
      root.scope('camera_head'),
      tf.reshape(tokens, [views, 2 * config.width]),
    );
    return {
      positionEmbedding: tf.concat([first, resampled], 0),
      patchTokens: patches,
      ...Object.fromEntries(all.map((i) => [`out.${i}`, steps.get(i)!])),
      ...Object.fromEntries(poses.map((pose, i) => [`pose.${i}`, pose])),
    };
  };
  const specs = { images: float32(views, height, width, 3), parameters: tensors };
  const compiled = await compile(program, specs);
  const outputs = (await compiled.run({ images: pixels, parameters: {} })) as Record<
    string,
    DeviceTensor
  >;
  const values: Record<string, Float32Array> = {};
  for (const [name, tensor] of Object.entries(outputs)) {
    values[name] = Float32Array.from(await tensor.read());
    tensor.dispose();
  }
  await compiled.dispose();
  return values;
}

const flat = (prediction: VggtPrediction): Record<string, Float32Array> => {
  const { depth, depthConfidence, points, pointConfidence } = prediction;
  return {
    depth: depth!,
    depthConfidence: depthConfidence!,
    points: points!,
    pointConfidence: pointConfidence!,
    'pose.3': prediction.pose,
    extrinsics: prediction.extrinsics,
    features: prediction.features!.data,
  };
};

describe.each(CASES)('VGGT on %s', (name) => {
  let folder: string;
  let golden: Golden<CaseInfo>;
  let info: CaseInfo;
  let model: VggtModel;
  let pixels: Float32Array;

  beforeAll(async () => {
    folder = await mkdtemp(path.join(tmpdir(), 'vggt-'));
    golden = await readGolden(path.join(__dirname, '__golden__', name));
    info = golden.info;
    await writeFilled(folder, info.config);
    model = await VggtModel.open(folder);
    pixels = goldenPixels(info.views, ...info.size);
  });

  afterAll(async () => {
    await model.dispose();
    await rm(folder, { recursive: true });
  });

  it('has the tensors of the reference', () => {
    const shapes = Object.values(model.weights.tensors).map(({ shape }) => shape);
    const values = shapes.reduce((sum, shape) => sum + sizeOf(shape), 0);
    expect({ tensors: shapes.length, values }).toEqual(info.parameters);
  });

  it('agrees with the reference at every step inside', async () => {
    const values = await intermediates(model, pixels, info);
    const errors = Object.entries(values).map(([key, value]) => [
      key,
      worstError(golden, key, value),
    ]);
    expect(errors.filter(([, error]) => !((error as number) <= info.tolerance.relative))).toEqual(
      [],
    );
  });

  it('agrees with the reference in what it predicts', async () => {
    const [height, width] = info.size;
    const prediction = await model.predictPixels(pixels, { views: info.views, height, width });
    const errors = Object.entries(flat(prediction)).map(([key, value]) => [
      key,
      worstError(golden, key, value),
    ]);
    expect(errors.filter(([, error]) => !((error as number) <= info.tolerance.relative))).toEqual(
      [],
    );
  });

  it('decodes cameras as the reference does', () => {
    const [height, width] = info.size;
    const { extrinsics, intrinsics } = decodeCameras(golden.float64('pose.3'), { height, width });
    expect(worstError(golden, 'extrinsics', extrinsics)).toBeLessThan(1e-6);
    expect(worstError(golden, 'intrinsics', intrinsics)).toBeLessThan(1e-6);
  });
});
