import {
  type CompiledProgram,
  type DeviceTensor,
  type ProgramUse,
  TensorPool,
} from '@spatialsv/core';
import type { PatchGrid } from './vggt-aggregator.js';
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

/** The last run of a program on a view set gives its memory back: the next program needs it. */
const RELEASE = { release: true };

/** Bytes of tensors that go from program to program, kept for the next view set: those of eight views. */
const KEPT_TENSORS = 2 ** 29;

/** A VGGT checkpoint that is ready to run. It holds compiled programs: dispose it. */
export class VggtModel {
  readonly weights: VggtWeights;
  readonly device: string;
  readonly #programs: VggtPrograms;
  readonly #tensors = new TensorPool(KEPT_TENSORS);

  constructor(weights: VggtWeights, device = 'cpu') {
    this.weights = weights;
    this.device = device;
    this.#programs = new VggtPrograms(weights, device);
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
    const tokens = await this.#aggregate(pixels, size, signal);
    try {
      const pose = await this.#pose(tokens.camera);
      const maps = await this.#maps(size, heads, tokens, signal);
      return {
        ...size,
        ...maps,
        pose,
        ...decodeCameras(pose, size),
        ...(features ? { features: await this.#features(size, tokens) } : {}),
      };
    } finally {
      this.#tensors.give(...tokens.joined.values(), tokens.camera);
    }
  }

  async dispose(): Promise<void> {
    this.#tensors.dispose();
    await this.#programs.dispose();
  }

  /** (1, N, C) patch tokens by view. */
  async #encode(
    pixels: Float32Array,
    size: ViewSize,
    signal: AbortSignal | undefined,
  ): Promise<Tensors> {
    const use = this.#programs.encode(this.#gridOf(size));
    const patches: Tensors = {};
    try {
      for (let view = 0; view < size.views; view++) {
        signal?.throwIfAborted();
        const inputs = { image: part(pixels, view, size.views), weights: {} };
        const outputs = await this.#run(use, inputs, view === size.views - 1);
        patches[view] = tensorOf(outputs, 'patches');
      }
      return patches;
    } catch (error) {
      this.#tensors.give(...Object.values(patches));
      throw error;
    }
  }

  /** @param release whether the program is done with all views and gives its memory back. */
  #run(
    use: ProgramUse,
    inputs: Parameters<CompiledProgram['run']>[0],
    release: boolean,
  ): ReturnType<CompiledProgram['run']> {
    const options = release ? RELEASE : {};
    return use((program) => this.#tensors.run(program, inputs, options));
  }

  async #aggregate(
    pixels: Float32Array,
    size: ViewSize,
    signal: AbortSignal | undefined,
  ): Promise<Aggregated> {
    const joined = new Map<number, DeviceTensor>();
    let state: { patches: Tensors } | Tensors = {
      patches: await this.#encode(pixels, size, signal),
    };
    try {
      for (const stretch of stretchesOf(this.config)) {
        signal?.throwIfAborted();
        const use = this.#programs.aggregate(size.views, this.#gridOf(size), stretch);
        const outputs = await this.#run(use, { ...state, weights: {} }, true);
        this.#tensors.give(...tensorsIn(state));
        const { joined: ofStep, ...next } = outputs as unknown as Tensors;
        joined.set(stretch.last, ofStep!);
        state = next;
      }
      return { joined, camera: tensorOf(state, 'camera') };
    } catch (error) {
      this.#tensors.give(...joined.values(), ...tensorsIn(state));
      throw error;
    }
  }

  async #pose(camera: DeviceTensor): Promise<Float32Array> {
    const use = this.#programs.camera(camera.shape[0]!);
    const outputs = await this.#run(use, { camera, weights: {} }, true);
    return this.#takeValues(tensorOf(outputs, 'pose'));
  }

  /** Values of their own; the tensor is given back. */
  async #takeValues(tensor: DeviceTensor): Promise<Float32Array> {
    const values = Float32Array.from(await tensor.read());
    this.#tensors.give(tensor);
    return values;
  }

  /** Maps of all views by the name that they have in a prediction. */
  async #maps(
    size: ViewSize,
    heads: readonly DenseHead[],
    { joined }: Aggregated,
    signal: AbortSignal | undefined,
  ): Promise<Record<string, Float32Array>> {
    const steps = this.config.dense.taps.map((step) => joined.get(step)!.read());
    const taps = (await Promise.all(steps)) as Float32Array[];
    const maps: Record<string, Float32Array> = {};
    for (const head of heads) {
      const use = this.#programs.head(head, this.#gridOf(size));
      for (let view = 0; view < size.views; view++) {
        signal?.throwIfAborted();
        const ofView = taps.map((tap) => part(tap, view, size.views));
        const inputs = { taps: Object.fromEntries(ofView.entries()), weights: {} };
        const isLast = view === size.views - 1;
        const outputs = (await this.#run(use, inputs, isLast)) as unknown as Tensors;
        for (const [output, tensor] of Object.entries(outputs)) {
          const name = MAP_NAMES[head][output as 'value' | 'confidence'];
          const values = await this.#takeValues(tensor);
          maps[name] ??= new Float32Array(size.views * values.length);
          maps[name].set(values, view * values.length);
        }
      }
    }
    return maps;
  }

  async #features(
    size: ViewSize,
    { joined }: Aggregated,
  ): Promise<NonNullable<VggtPrediction['features']>> {
    const last = joined.get(this.config.aggregator.depth - 1)!;
    const data = Float32Array.from(await last.read());
    return { data, ...this.#gridOf(size), channels: 2 * this.config.width };
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

const tensorOf = (outputs: unknown, name: string): DeviceTensor => (outputs as Tensors)[name]!;

const tensorsIn = (state: { patches: Tensors } | Tensors): readonly DeviceTensor[] =>
  Object.values('patches' in state ? (state.patches as Tensors) : state);
