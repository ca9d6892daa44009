import type { CompiledProgram, DeviceTensor, PixelWindow } from '@spatialsv/core';
import { camerasOfPoses, type KnownCameras, posesOf } from './da3-cameras.js';
import { type Da3Config, PATCH, readDa3Config } from './da3-config.js';
import { depthWithSky, joinNested, metricDepth, skyMask } from './da3-metric.js';
import { NetworkPrograms } from './da3-programs.js';
import { chooseReferenceView, type ReferenceView, referenceFirst } from './da3-reference-view.js';
import { openDa3Weights } from './da3-weights.js';

export interface PredictOptions {
  /** Known cameras, as `normaliseCameras` gives them. Networks of one picture ignore them. */
  readonly cameras?: KnownCameras;
  /** Choice of the reference view, for three views or more without known cameras; `saddle_balanced` where absent. */
  readonly referenceView?: ReferenceView;
  /** `false` leaves out the ray branch, about half of the work of the dense head. */
  readonly rays?: boolean;
  /** Tokens of the last tap: as the head takes them (`last-tap`), or their normalised half (`norm`). None where absent. */
  readonly features?: 'last-tap' | 'norm' | false;
  readonly signal?: AbortSignal;
}

/** Views of one size. */
export interface Da3Views {
  readonly views: number;
  /** Multiples of 14. */
  readonly height: number;
  readonly width: number;
  /** (H, W, 3) of each view, ImageNet-normalised. */
  readonly pixels: readonly Float32Array[];
  readonly windows?: readonly PixelWindow[];
}

export interface FeatureMaps {
  /** (V, h, w, C). */
  readonly data: Float32Array;
  readonly h: number;
  readonly w: number;
  readonly channels: number;
}

/** Everything that the network says. Maps of the input's size unless said; pixel centres at half numbers. */
export interface Da3Prediction {
  readonly views: number;
  readonly height: number;
  readonly width: number;
  /** (V, H, W) z-depth. */
  readonly depth: Float32Array;
  /** (V, H, W) ≥ 1. */
  readonly depthConfidence?: Float32Array;
  /** (V, h, w, 6) at 4/7 of the input's size: origin, then direction with camera z = 1, in the network's world frame. */
  readonly rays?: FeatureMaps;
  /** (V, h, w) > 1. */
  readonly rayConfidence?: Float32Array;
  /** (V, 9) camera centre, quaternion xyzw of camera-to-world, vertical and horizontal field of view in rad. */
  readonly pose?: Float32Array;
  /** (V, 3, 4) world-to-camera, OpenCV axes. */
  readonly extrinsics?: Float32Array;
  /** (V, 3, 3) pixels of the input. */
  readonly intrinsics?: Float32Array;
  /** (V, H, W) ≥ 0; 0.3 and more is sky. */
  readonly sky?: Float32Array;
  readonly features?: FeatureMaps;
  /** Metres per unit of the any-view network, in nested models; depth, extrinsics and ray origins are in metres. */
  readonly metresPerUnit?: number;
}

type Tensors = Readonly<Record<string, DeviceTensor>>;
/** Taps by place. */
type ViewTaps = Record<string, DeviceTensor>;

/** One network after its run. */
type NetworkOutputs = Omit<Da3Prediction, 'views' | 'height' | 'width'>;

/**
 * Opens a folder with `config.json` and `model.safetensors`.
 * @throws SpatialError as `readDa3Config` and `openDa3Weights` say.
 */
export const openDa3 = async (folder: string, device = 'cpu'): Promise<Da3Model> => {
  const config = await readDa3Config(folder);
  const weights = await openDa3Weights(folder, config);
  const programs = (network: 'anyView' | 'single') => {
    const tensors = weights[network];
    return tensors && new NetworkPrograms(config[network]!, tensors, device);
  };
  return new Da3Model(config, programs('anyView'), programs('single'), weights.hash);
};

/** An opened checkpoint. Weights stay in their file, memory-mapped. */
export class Da3Model {
  readonly config: Da3Config;
  /** SHA-256 of the weights; reads all of them. */
  readonly hashWeights: () => Promise<string>;
  readonly #anyView: NetworkPrograms | undefined;
  readonly #single: NetworkPrograms | undefined;

  constructor(
    config: Da3Config,
    anyView: NetworkPrograms | undefined,
    single: NetworkPrograms | undefined,
    hashWeights: () => Promise<string>,
  ) {
    this.config = config;
    this.hashWeights = hashWeights;
    this.#anyView = anyView;
    this.#single = single;
  }

  /**
   * Runs the network. Stops between programs and views when `signal` is aborted.
   * @throws SpatialError DATA_INVALID when a nested model sees hardly anything but sky.
   */
  async predict(views: Da3Views, options: PredictOptions = {}): Promise<Da3Prediction> {
    const size = { views: views.views, height: views.height, width: views.width };
    const single = this.#single && (await runSingle(this.#single, views, options));
    if (!this.#anyView) return { ...size, ...single! };
    const outputs = await runAnyView(this.#anyView, views, options);
    return { ...size, ...(single ? nest(outputs, single) : outputs) };
  }

  async dispose(): Promise<void> {
    await Promise.all([this.#anyView?.dispose(), this.#single?.dispose()]);
  }
}

// ---------------------------------------------------------------------------------------------- one picture at a time

const runSingle = async (
  programs: NetworkPrograms,
  views: Da3Views,
  options: PredictOptions,
): Promise<NetworkOutputs> => {
  const grid = gridOf(views);
  const depth = new Collected(views.views);
  const sky = new Collected(views.views);
  const features = featureCollector(programs, views, options);
  for (let view = 0; view < views.views; view++) {
    const { taps } = await encodeOne(programs, views, view, options);
    await features?.add(view, taps['3']!);
    const program = await programs.head(grid, false);
    const outputs = await runAndFree(program, { taps }, options);
    await depth.take(view, outputs['depth']!);
    await sky.take(view, outputs['sky']!);
  }
  const mask = skyMask(sky.values());
  return {
    depth: depthWithSky(depth.values(), mask),
    sky: sky.values(),
    ...(features ? { features: features.maps() } : {}),
  };
};

const gridOf = ({ height, width }: Da3Views) => ({ h: height / PATCH, w: width / PATCH });

const encodeOne = async (
  programs: NetworkPrograms,
  views: Da3Views,
  view: number,
  { signal }: PredictOptions,
): Promise<{ readonly state?: DeviceTensor; readonly taps: ViewTaps }> => {
  signal?.throwIfAborted();
  const program = await programs.encode(gridOf(views));
  const outputs = await program.run({ image: views.pixels[view]! });
  return { taps: {}, ...(outputs as object) };
};

/** Runs a program on tensors that nothing else needs, and frees them. */
const runAndFree = async (
  program: CompiledProgram,
  inputs: Readonly<Record<string, ViewTaps>>,
  { signal }: PredictOptions,
): Promise<Tensors> => {
  const tensors = Object.values(inputs).flatMap((group) => Object.values(group));
  try {
    signal?.throwIfAborted();
    return (await program.run(inputs)) as Tensors;
  } finally {
    for (const tensor of tensors) tensor.dispose();
  }
};

/** Values of all views, copied out of tensors that are then freed. */
class Collected {
  #values: Float32Array | undefined;
  readonly #views: number;

  constructor(views: number) {
    this.#views = views;
  }

  async take(view: number, tensor: DeviceTensor): Promise<void> {
    this.put(view, (await tensor.read()) as Float32Array);
    tensor.dispose();
  }

  put(view: number, values: Float32Array): void {
    this.#values ??= new Float32Array(this.#views * values.length);
    this.#values.set(values, view * values.length);
  }

  values(): Float32Array {
    return this.#values!;
  }
}

// ---------------------------------------------------------------------------------------------- several views

const runAnyView = async (
  programs: NetworkPrograms,
  views: Da3Views,
  options: PredictOptions,
): Promise<NetworkOutputs> => {
  const { taps, pose } = await runBackbone(programs, views, options);
  const grid = gridOf(views);
  const withRays = options.rays ?? true;
  const maps = ['depth', 'depthConfidence', ...(withRays ? ['rays', 'rayConfidence'] : [])];
  const collected = Object.fromEntries(maps.map((name) => [name, new Collected(views.views)]));
  const features = featureCollector(programs, views, options);
  for (let view = 0; view < views.views; view++) {
    await features?.add(view, taps[view]!['3']!);
    const outputs = await runAndFree(
      await programs.head(grid, withRays),
      { taps: taps[view]! },
      options,
    );
    for (const name of maps) await collected[name]!.take(view, outputs[name]!);
  }
  const valuesOf = (name: string) => collected[name]!.values();
  return {
    depth: valuesOf('depth'),
    depthConfidence: valuesOf('depthConfidence'),
    ...(withRays ? rayMaps(valuesOf('rays'), valuesOf('rayConfidence'), grid) : {}),
    pose,
    ...camerasOfPoses(pose, views),
    ...(features ? { features: features.maps() } : {}),
  };
};

/** The finest level of the pyramid has eight cells a patch. */
const rayMaps = (
  data: Float32Array,
  rayConfidence: Float32Array,
  { h, w }: { readonly h: number; readonly w: number },
) => ({ rays: { data, h: 8 * h, w: 8 * w, channels: 6 }, rayConfidence });

/** Taps and poses in the order of the pictures. */
const runBackbone = async (
  programs: NetworkPrograms,
  views: Da3Views,
  options: PredictOptions,
): Promise<{ readonly taps: readonly ViewTaps[]; readonly pose: Float32Array }> => {
  const encoded: { state?: DeviceTensor; taps: ViewTaps }[] = [];
  for (let view = 0; view < views.views; view++)
    encoded.push(await encodeOne(programs, views, view, options));
  const states = encoded.map(({ state }) => state!);
  const order = await viewOrder(programs, states, options);
  const tokens = options.cameras && (await encodeCameras(programs, options.cameras, views));
  const shape = { views: views.views, ...gridOf(views), knownCameras: tokens !== undefined };
  const program = await programs.mix(shape);
  const ordered = Object.fromEntries(order.map((view, place) => [place, states[view]!]));
  const inputs = { states: ordered, ...(tokens ? { tokens: { tokens } } : {}) };
  const outputs = await runMix(program, inputs, options);
  return restoreOrder(encoded, order, outputs);
};

interface MixOutputs {
  readonly poses: DeviceTensor;
  readonly taps: Readonly<Record<string, ViewTaps>>;
}

const runMix = async (
  program: CompiledProgram,
  inputs: { readonly states: ViewTaps; readonly tokens?: ViewTaps },
  options: PredictOptions,
): Promise<MixOutputs> => {
  const { states, tokens } = inputs;
  const freed = [...Object.values(states), ...Object.values(tokens ?? {})];
  try {
    options.signal?.throwIfAborted();
    return (await program.run({ states, ...tokens })) as unknown as MixOutputs;
  } finally {
    for (const tensor of freed) tensor.dispose();
  }
};

const viewOrder = async (
  programs: NetworkPrograms,
  states: readonly DeviceTensor[],
  { cameras, referenceView = 'saddle_balanced' }: PredictOptions,
): Promise<readonly number[]> => {
  const { channels } = programs.config.backbone;
  const tokens: Float32Array[] = [];
  for (const state of states)
    tokens.push(((await state.read()) as Float32Array).slice(0, channels));
  const reference = cameras ? 0 : chooseReferenceView(tokens, referenceView);
  return referenceFirst(states.length, reference);
};

const encodeCameras = async (
  programs: NetworkPrograms,
  cameras: KnownCameras,
  views: Da3Views,
): Promise<DeviceTensor> => {
  const program = await programs.encodeCameras(views.views);
  const { tokens } = (await program.run({ poses: posesOf(cameras, views) })) as Tensors;
  return tokens!;
};

const restoreOrder = async (
  encoded: readonly { readonly taps: ViewTaps }[],
  order: readonly number[],
  { poses, taps }: MixOutputs,
) => {
  const values = (await poses.read()) as Float32Array;
  const size = values.length / order.length;
  const pose = new Float32Array(values.length);
  const restored = encoded.map(({ taps: early }) => ({ ...early }));
  order.forEach((view, place) => {
    pose.set(values.subarray(size * place, size * (place + 1)), size * view);
    for (const [name, tap] of Object.entries(taps)) restored[view]![name] = tap[place]!;
  });
  poses.dispose();
  return { taps: restored, pose };
};

// ---------------------------------------------------------------------------------------------- features

const featureCollector = (
  programs: NetworkPrograms,
  views: Da3Views,
  { features }: PredictOptions,
) => {
  if (!features) return undefined;
  const { channels, concatenates } = programs.config.backbone;
  const isHalf = features === 'norm' && concatenates;
  const collected = new Collected(views.views);
  const width = concatenates && !isHalf ? 2 * channels : channels;
  return {
    add: async (view: number, tap: DeviceTensor) => {
      const values = (await tap.read()) as Float32Array;
      collected.put(view, isHalf ? secondHalves(values, channels) : values);
    },
    maps: (): FeatureMaps => ({ data: collected.values(), ...gridOf(views), channels: width }),
  };
};

/** (N, 2C) → (N, C). */
const secondHalves = (values: Float32Array, channels: number): Float32Array => {
  const halves = new Float32Array(values.length / 2);
  for (let start = 0; start < halves.length; start += channels)
    halves.set(values.subarray(2 * start + channels, 2 * start + 2 * channels), start);
  return halves;
};

// ---------------------------------------------------------------------------------------------- nested

/** Depth and cameras of the any-view network in the metres of the metric one. */
const nest = (outputs: NetworkOutputs, single: NetworkOutputs): NetworkOutputs => {
  const { extrinsics, intrinsics, depthConfidence, rays } = outputs;
  const { scale, ...depths } = joinNested({
    depth: outputs.depth,
    depthConfidence: depthConfidence!,
    metric: metricDepth(single.depth, intrinsics!),
    sky: skyMask(single.sky!),
  });
  return {
    ...outputs,
    ...depths,
    sky: single.sky!,
    extrinsics: extrinsics!.map((value, i) => (i % 4 === 3 ? value * scale : value)),
    ...(rays ? { rays: { ...rays, data: scaleOrigins(rays.data, scale) } } : {}),
    metresPerUnit: scale,
  };
};

const scaleOrigins = (rays: Float32Array, scale: number): Float32Array =>
  rays.map((value, i) => (i % 6 < 3 ? value * scale : value));
