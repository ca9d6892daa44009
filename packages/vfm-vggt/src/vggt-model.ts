import {
  Collected,
  type DeviceTensor,
  type PatchGrid,
  type Precision,
  TensorScope,
} from '@spatialsv/core/kit';
import { decodeCameras } from './vggt-cameras.js';
import type { VggtConfig } from './vggt-config.js';
import type { DenseHead } from './vggt-names.js';
import type { PreparedImages } from './vggt-preprocess.js';
import { stretchesOf, VggtPrograms } from './vggt-programs.js';
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

/** What the aggregator leaves for the heads. */
interface Aggregated {
  /** Step → (V, N, 2·C) patches. */
  readonly joined: ReadonlyMap<number, DeviceTensor>;
  /** (V, 2·C). */
  readonly camera: DeviceTensor;
}

type Tensors = Record<string, DeviceTensor>;

/** One view set on its way through the network. */
interface Run {
  readonly size: ViewSize;
  readonly grid: PatchGrid;
  readonly tensors: TensorScope;
}

/** A VGGT checkpoint that is ready to run. It holds compiled programs: dispose it. */
export class VggtModel {
  readonly weights: VggtWeights;
  readonly device: string;
  readonly #programs: VggtPrograms;

  constructor(weights: VggtWeights, device = 'cpu', precision?: Precision) {
    this.weights = weights;
    this.device = device;
    this.#programs = new VggtPrograms(weights, { device, precision });
  }

  /** @param location folder or file, as of {@link openVggtWeights}, whose errors it throws. */
  static async open(location: string, device?: string, precision?: Precision): Promise<VggtModel> {
    return new VggtModel(await openVggtWeights(location), device, precision);
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
    const tensors = new TensorScope(this.#programs.tensors, signal);
    const run = { size, grid: this.#gridOf(size), tensors };
    try {
      const tokens = await this.#aggregate(run, pixels);
      const pose = await this.#pose(run, tokens.camera);
      const maps = await this.#maps(run, heads, tokens);
      return {
        ...size,
        ...maps,
        pose,
        ...decodeCameras(pose, size),
        ...(features ? { features: await this.#features(run, tokens) } : {}),
      };
    } finally {
      tensors.dispose();
    }
  }

  dispose(): Promise<void> {
    return this.#programs.dispose();
  }

  /** (1, N, C) patch tokens by view. */
  async #encode(run: Run, pixels: Float32Array): Promise<Tensors> {
    const program = this.#programs.encode(run.grid);
    const { views } = run.size;
    const patches: Tensors = {};
    for (let view = 0; view < views; view++) {
      const inputs = { image: part(pixels, view, views) };
      const outputs = await run.tensors.run<Tensors>(program, inputs, view === views - 1);
      patches[view] = outputs['patches']!;
    }
    return patches;
  }

  async #aggregate(run: Run, pixels: Float32Array): Promise<Aggregated> {
    const joined = new Map<number, DeviceTensor>();
    let state: Record<string, DeviceTensor | Tensors> = {
      patches: await this.#encode(run, pixels),
    };
    for (const stretch of stretchesOf(this.config)) {
      const program = this.#programs.aggregate(run.size.views, run.grid, stretch);
      const { joined: ofStep, ...next } = await run.tensors.run<Tensors>(program, state, true);
      run.tensors.free(state);
      joined.set(stretch.last, ofStep!);
      state = next;
    }
    return { joined, camera: state['camera'] as DeviceTensor };
  }

  async #pose(run: Run, camera: DeviceTensor): Promise<Float32Array> {
    const program = this.#programs.camera(run.size.views);
    const { pose } = await run.tensors.run<Tensors>(program, { camera }, true);
    return Float32Array.from(await pose!.read());
  }

  /** Maps of all views by the name that they have in a prediction. */
  async #maps(
    run: Run,
    heads: readonly DenseHead[],
    { joined }: Aggregated,
  ): Promise<Record<string, Float32Array>> {
    const { views } = run.size;
    const steps = this.config.dense.taps.map((tap) => joined.get(tap)!.read());
    const taps = (await Promise.all(steps)) as Float32Array[];
    const maps: Record<string, Float32Array> = {};
    for (const head of heads) {
      const program = this.#programs.head(head, run.grid);
      const collected = { value: new Collected(views), confidence: new Collected(views) };
      for (let view = 0; view < views; view++) {
        const ofView = taps.map((tap) => part(tap, view, views));
        const inputs = { taps: Object.fromEntries(ofView.entries()) };
        const outputs = await run.tensors.run<Tensors>(program, inputs, view === views - 1);
        await collected.value.take(view, outputs['value']!);
        await collected.confidence.take(view, outputs['confidence']!);
        run.tensors.free(outputs);
      }
      maps[MAP_NAMES[head].value] = collected.value.values();
      maps[MAP_NAMES[head].confidence] = collected.confidence.values();
    }
    return maps;
  }

  async #features(
    { grid }: Run,
    { joined }: Aggregated,
  ): Promise<NonNullable<VggtPrediction['features']>> {
    const last = joined.get(this.config.aggregator.depth - 1)!;
    const data = Float32Array.from(await last.read());
    return { data, ...grid, channels: 2 * this.config.width };
  }

  #gridOf({ height, width }: ViewSize): PatchGrid {
    const { patchSize } = this.config;
    return { h: height / patchSize, w: width / patchSize };
  }
}

const MAP_NAMES = {
  depth: { value: 'depth', confidence: 'depthConfidence' },
  point: { value: 'points', confidence: 'pointConfidence' },
} as const;

const sizeOf = ({ views, height, width }: ViewSize): ViewSize => ({ views, height, width });

const part = (all: Float32Array, view: number, views: number): Float32Array => {
  const length = all.length / views;
  return all.subarray(view * length, (view + 1) * length);
};
