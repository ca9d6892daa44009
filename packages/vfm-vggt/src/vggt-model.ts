import {
  type CompiledProgram,
  compile,
  type DeviceTensor,
  float32,
  type MappedTensor,
  type Parameters,
  ProgramCache,
  parameterScope,
  type Tensor,
  tf,
} from '@spatialsv/core';
import { aggregate } from './vggt-aggregator.js';
import { cameraHead } from './vggt-camera-head.js';
import { decodeCameras } from './vggt-cameras.js';
import type { VggtConfig } from './vggt-config.js';
import { denseHead } from './vggt-dense-heads.js';
import type { DenseHead } from './vggt-names.js';
import type { PreparedImages } from './vggt-preprocess.js';
import { openVggtWeights, type VggtWeights } from './vggt-weights.js';

export interface PredictOptions {
  /** Dense heads to run; those that the checkpoint has where absent. */
  readonly heads?: readonly DenseHead[];
  /** Whether to give features; `true` where absent. */
  readonly features?: boolean;
  /** Looked at between programs and views. */
  readonly signal?: AbortSignal;
}

/** Everything in the pixels of the network's input; row-major float32. World-to-camera, OpenCV axes, arbitrary scale. */
export interface VggtPrediction {
  readonly views: number;
  readonly height: number;
  readonly width: number;
  /** (V, H, W) z-depth > 0, where the depth head ran. */
  readonly depth?: Float32Array;
  /** (V, H, W) > 1. */
  readonly depthConfidence?: Float32Array;
  /** (V, H, W, 3) in the frame of the first camera, where the point head ran. */
  readonly points?: Float32Array;
  /** (V, H, W) > 1. */
  readonly pointConfidence?: Float32Array;
  /** (V, 9) translation, quaternion xyzw (any length), vertical and horizontal field of view in rad. */
  readonly pose: Float32Array;
  /** (V, 3, 4) [R | t]; that of the first view is near the identity. */
  readonly extrinsics: Float32Array;
  /** (V, 3, 3) pixels, principal point (W/2, H/2); pixel centres at integers. Infinite where a field of view is 0. */
  readonly intrinsics: Float32Array;
  /** Last step of the aggregator, patches only, (V, h, w, 2·C). */
  readonly features?: {
    readonly data: Float32Array;
    readonly h: number;
    readonly w: number;
    readonly channels: number;
  };
}

/** Views of one size in pixels. */
export interface ViewSize {
  readonly views: number;
  readonly height: number;
  readonly width: number;
}

/** Programs kept: a token program and a dense program for each of two sizes. */
const PROGRAMS = 4;

/** Outputs of the token program. */
interface TokenOutputs {
  /** Tap number → (V, N, 2·C). */
  readonly taps: Readonly<Record<string, DeviceTensor>>;
  readonly pose: DeviceTensor;
  /** (V, N, 2·C); absent where the last tap is the last step. */
  readonly last?: DeviceTensor;
}

/** A VGGT checkpoint that is ready to run. It holds compiled programs: dispose it. */
export class VggtModel {
  readonly weights: VggtWeights;
  readonly device: string;
  readonly #programs = new ProgramCache(PROGRAMS);

  constructor(weights: VggtWeights, device = 'cpu') {
    this.weights = weights;
    this.device = device;
  }

  /** @param location folder or file, as of {@link openVggtWeights}, whose errors it throws. */
  static async open(location: string, device?: string): Promise<VggtModel> {
    return new VggtModel(await openVggtWeights(location), device);
  }

  get config(): VggtConfig {
    return this.weights.config;
  }

  /**
   * Depth, points, cameras and features of a view set. The aggregator sees all views at once; dense heads run view by view,
   * so that their memory does not grow with the views.
   * @throws the reason of an aborted signal.
   */
  async predict(images: PreparedImages, options: PredictOptions = {}): Promise<VggtPrediction> {
    const pixels = Float32Array.from(images.pixels, (value) => value / 255);
    return this.predictPixels(pixels, sizeOf(images), options);
  }

  /** As {@link predict}. @param pixels (V, H, W, 3) in 0..1. @param size sides are multiples of the patch. */
  async predictPixels(
    pixels: Float32Array,
    size: ViewSize,
    options: PredictOptions = {},
  ): Promise<VggtPrediction> {
    const { features = true, signal } = options;
    const heads = options.heads ?? (this.config.pointHead ? ['depth', 'point'] : ['depth']);
    signal?.throwIfAborted();
    const tokens = await this.#runTokens(pixels, size);
    try {
      const maps = await this.#runHeads(size, heads, tokens, signal);
      const pose = Float32Array.from(await tokens.pose.read());
      return {
        ...size,
        ...maps,
        pose,
        ...decodeCameras(pose, size),
        ...(features ? { features: await this.#features(size, tokens) } : {}),
      };
    } finally {
      for (const tensor of allOf(tokens)) tensor.dispose();
    }
  }

  async dispose(): Promise<void> {
    await this.#programs.dispose();
  }

  async #runTokens(pixels: Float32Array, size: ViewSize): Promise<TokenOutputs> {
    const program = await this.#programs.get(
      `tokens ${size.views} ${size.height} ${size.width}`,
      () => compileTokens(this.weights, size, this.device),
    );
    return (await program.run({ images: pixels, parameters: {} })) as unknown as TokenOutputs;
  }

  /** Maps of all views by output name, for example `depthConfidence`. */
  async #runHeads(
    { views, height, width }: ViewSize,
    heads: readonly DenseHead[],
    tokens: TokenOutputs,
    signal: AbortSignal | undefined,
  ): Promise<Record<string, Float32Array>> {
    if (heads.length === 0) return {};
    const program = await this.#programs.get(`${heads.join()} ${height} ${width}`, () =>
      compileHeads(this.weights, heads, { height, width }, this.device),
    );
    const taps = await Promise.all(Object.values(tokens.taps).map((tap) => tap.read()));
    const maps: Record<string, Float32Array> = {};
    for (let view = 0; view < views; view++) {
      signal?.throwIfAborted();
      const ofView = taps.map((tap) => part(tap as Float32Array, view, views));
      const outputs = await program.run({
        taps: Object.fromEntries(ofView.entries()),
        parameters: {},
      });
      for (const [name, tensor] of Object.entries(outputs as Record<string, DeviceTensor>)) {
        const values = (await tensor.read()) as Float32Array;
        maps[name] ??= new Float32Array(views * values.length);
        maps[name].set(values, view * values.length);
        tensor.dispose();
      }
    }
    return maps;
  }

  async #features(
    { height, width }: ViewSize,
    { last, taps }: TokenOutputs,
  ): Promise<NonNullable<VggtPrediction['features']>> {
    const { patchSize, width: channels } = this.config;
    const data = Float32Array.from(await (last ?? taps['3']!).read());
    return { data, h: height / patchSize, w: width / patchSize, channels: 2 * channels };
  }
}

const sizeOf = ({ views, height, width }: ViewSize): ViewSize => ({ views, height, width });

const part = (all: Float32Array, view: number, views: number): Float32Array => {
  const length = all.length / views;
  return all.subarray(view * length, (view + 1) * length);
};

const allOf = ({ taps, pose, last }: TokenOutputs): DeviceTensor[] => [
  ...Object.values(taps),
  pose,
  ...(last === undefined ? [] : [last]),
];

/** Tensors below `scopes`, still in their file. */
const tensorsOf = (
  { tensors }: VggtWeights,
  scopes: readonly string[],
): Readonly<Record<string, MappedTensor>> =>
  Object.fromEntries(
    Object.entries(tensors).filter(([name]) => scopes.includes(name.split('.')[0]!)),
  );

/** One program for aggregator and camera head. Only the steps that are read later leave it. */
function compileTokens(
  weights: VggtWeights,
  size: ViewSize,
  device: string,
): Promise<CompiledProgram> {
  const { config } = weights;
  const specs = {
    images: float32(size.views, size.height, size.width, 3),
    parameters: tensorsOf(weights, ['aggregator', 'camera_head']),
  };
  const program = ({ images, parameters }: { images: Tensor; parameters: Parameters }) =>
    runTokens(config, parameters, images);
  return compile(program, specs, { device, name: 'vggt tokens' });
}

/**
 * Aggregator and camera head (a program).
 * @param images (V, H, W, 3) in 0..1.
 * @returns `taps` 0 … 3 and, where it is none of them, the `last` step, patches only, (V, N, 2·C); `pose` (V, 9).
 */
export function runTokens(config: VggtConfig, parameters: Parameters, images: Tensor) {
  const { taps } = config.dense;
  const final = config.aggregator.depth - 1;
  const root = parameterScope(parameters);
  const steps = aggregate(config, root.scope('aggregator'), images, [...taps, final]);
  const last = steps.get(final)!;
  const [views, , channels] = last.shape as [number, number, number];
  const cameraTokens = tf.reshape(tf.slice(last, [0, 0, 0], [views, 1, channels]), [
    views,
    channels,
  ]);
  const patches = (step: number) =>
    tf.slice(steps.get(step)!, [0, 1 + config.registers, 0], [views, -1, channels]);
  return {
    taps: Object.fromEntries(taps.map((step, k) => [k, patches(step)])),
    pose: cameraHead(config, root.scope('camera_head'), cameraTokens).at(-1)!,
    ...(taps[3] === final ? {} : { last: patches(final) }),
  };
}

/** One program for the asked heads, of one view. */
function compileHeads(
  weights: VggtWeights,
  heads: readonly DenseHead[],
  imageSize: { readonly height: number; readonly width: number },
  device: string,
): Promise<CompiledProgram> {
  const { config } = weights;
  const tokens = (imageSize.height / config.patchSize) * (imageSize.width / config.patchSize);
  const tap = float32(1, tokens, 2 * config.width);
  const specs = {
    taps: { 0: tap, 1: tap, 2: tap, 3: tap },
    parameters: tensorsOf(
      weights,
      heads.map((head) => `${head}_head`),
    ),
  };
  const program = (inputs: { taps: Record<string, Tensor>; parameters: Parameters }) => {
    const root = parameterScope(inputs.parameters);
    const taps = [0, 1, 2, 3].map((k) => inputs.taps[k]!);
    const outputs = heads.map((head) => {
      const { value, confidence } = denseHead(
        config,
        head,
        root.scope(`${head}_head`),
        taps,
        imageSize,
      );
      return { [MAP_NAMES[head]]: value, [`${head}Confidence`]: confidence };
    });
    return Object.assign({}, ...outputs) as Record<string, Tensor>;
  };
  // Convolutions gain most from weights in their kernels' layout, and every view runs them again.
  return compile(program, specs, { device, name: 'vggt heads', prepareWeights: true });
}

const MAP_NAMES: Readonly<Record<DenseHead, 'depth' | 'points'>> = {
  depth: 'depth',
  point: 'points',
};
