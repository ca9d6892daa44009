/** Runs the programs of a network over the views of one request. */
import { Collected, type DeviceTensor, isIn, TensorScope } from '@spatialsv/core/kit';
import { stretchesOf } from './da3-backbone.js';
import { camerasOfPoses, POSE_SIZE, posesOf } from './da3-cameras.js';
import { PATCH } from './da3-config.js';
import { depthWithSky, skyMask } from './da3-metric.js';
import type { Da3Views, FeatureMaps, NetworkOutputs, PredictOptions } from './da3-prediction.js';
import type { Da3Programs } from './da3-programs.js';
import { chooseReferenceView, referenceFirst } from './da3-reference-view.js';

interface Run {
  readonly programs: Da3Programs;
  readonly views: Da3Views;
  readonly options: PredictOptions;
  readonly tensors: TensorScope;
}

/** Taps by place. */
type ViewTaps = Readonly<Record<string, DeviceTensor>>;

/**
 * Runs a network. Stops between programs and views when the signal is aborted.
 * @returns everything that the network gives.
 */
export const runNetwork = async (
  programs: Da3Programs,
  views: Da3Views,
  options: PredictOptions,
): Promise<NetworkOutputs> => {
  const tensors = new TensorScope(programs.tensors, options.signal);
  const run = { programs, views, options, tensors };
  try {
    return await (programs.config.head.kind === 'dual' ? runAnyView(run) : runSingle(run));
  } finally {
    tensors.dispose();
  }
};

const gridOf = ({ height, width }: Da3Views) => ({ h: height / PATCH, w: width / PATCH });

const allViews = ({ views }: Run): readonly number[] => [...Array(views.views).keys()];

interface Encoded {
  readonly state?: DeviceTensor;
  readonly taps?: ViewTaps;
}

const encode = async (run: Run, view: number): Promise<Encoded> => {
  const program = run.programs.encode(gridOf(run.views));
  const isLast = view === run.views.views - 1;
  return run.tensors.run(program, { image: run.views.pixels[view]! }, isLast);
};

/** Maps of the dense head, view by view; taps are freed as soon as they are used. */
const decode = async (
  run: Run,
  names: readonly string[],
  tapsOf: (view: number) => Promise<ViewTaps>,
): Promise<{ readonly maps: Record<string, Float32Array>; readonly features?: FeatureMaps }> => {
  const { programs, views, tensors } = run;
  const collected = names.map(() => new Collected(views.views));
  const features = featureCollector(run);
  for (const view of allViews(run)) {
    const taps = await tapsOf(view);
    await features?.add(view, taps['3']!);
    const program = programs.head(gridOf(views), names.includes('rays'));
    const isLast = view === views.views - 1;
    const outputs = await tensors.run<ViewTaps>(program, { taps }, isLast);
    for (const [i, name] of names.entries()) await collected[i]!.take(view, outputs[name]!);
    tensors.free(taps, outputs);
  }
  const maps = Object.fromEntries(names.map((name, i) => [name, collected[i]!.values()]));
  return { maps, ...(features ? { features: features.maps() } : {}) };
};

// ---------------------------------------------------------------------------------------------- one image at a time

const runSingle = async (run: Run): Promise<NetworkOutputs> => {
  const encoded = async (view: number) => (await encode(run, view)).taps!;
  const { maps, ...rest } = await decode(run, ['depth', 'sky'], encoded);
  const sky = maps['sky']!;
  return { depth: depthWithSky(maps['depth']!, skyMask(sky)), sky, ...rest };
};

// ---------------------------------------------------------------------------------------------- several views

const runAnyView = async (run: Run): Promise<NetworkOutputs> => {
  const { taps, pose } = await runBackbone(run);
  const { views, options } = run;
  const rayNames = options.rays === false ? [] : ['rays', 'rayConfidence'];
  const names = ['depth', 'depthConfidence', ...rayNames];
  const { maps, ...rest } = await decode(run, names, async (view) => taps[view]!);
  const { depth, depthConfidence, rays, rayConfidence } = maps;
  const { h, w } = gridOf(views);
  return {
    depth: depth!,
    depthConfidence: depthConfidence!,
    // The finest level of the pyramid has eight cells a patch.
    ...(rays ? { rays: { data: rays, h: 8 * h, w: 8 * w, channels: 6 } } : {}),
    ...(rayConfidence ? { rayConfidence } : {}),
    pose,
    ...camerasOfPoses(pose, views),
    ...rest,
  };
};

interface Backbone {
  /** Of each image. */
  readonly taps: readonly ViewTaps[];
  /** (V, 9). */
  readonly pose: Float32Array;
}

const runBackbone = async (run: Run): Promise<Backbone> => {
  const encoded: Encoded[] = [];
  for (const view of allViews(run)) encoded.push(await encode(run, view));
  const order = await viewOrder(run, encoded);
  const states = Object.fromEntries(order.map((view, place) => [place, encoded[view]!.state!]));
  return inImageOrder(encoded, order, await mix(run, states));
};

/** Results of all stretches. */
interface Mixed {
  readonly poses: DeviceTensor;
  /** By place among the four taps, then by place among the views. */
  readonly taps: ReadonlyMap<number, ViewTaps>;
}

/** One stretch gives the state that the next one takes; the last one gives poses. */
interface StretchOutputs {
  readonly tap: ViewTaps;
  readonly state?: DeviceTensor;
  readonly poses?: DeviceTensor;
}

const mix = async (run: Run, states: ViewTaps): Promise<Mixed> => {
  const { programs, views, options, tensors } = run;
  const { backbone } = programs.config;
  const knownCameras = options.cameras !== undefined;
  const known = knownCameras ? await encodeCameras(run) : {};
  const taps = new Map<number, ViewTaps>();
  let start: Record<string, DeviceTensor | ViewTaps> = { states };
  let outputs: StretchOutputs | undefined;
  for (const stretch of stretchesOf(backbone)) {
    const shape = { views: views.views, ...gridOf(views), knownCameras };
    const program = programs.mix(shape, stretch);
    const takesTokens = knownCameras && isIn(stretch, backbone.crossViewStart!);
    const inputs = takesTokens ? { ...start, ...known } : start;
    outputs = await tensors.run<StretchOutputs>(program, inputs, true);
    tensors.free(start);
    taps.set(backbone.taps.indexOf(stretch.last), outputs.tap);
    start = { state: outputs.state! };
  }
  tensors.free(known);
  return { taps, poses: outputs!.poses! };
};

/** Numbers of the images in the order in which the network takes them. */
const viewOrder = async (
  { programs, options }: Run,
  encoded: readonly Encoded[],
): Promise<readonly number[]> => {
  const { channels } = programs.config.backbone;
  const tokens: Float32Array[] = [];
  for (const { state } of encoded)
    tokens.push(((await state!.read()) as Float32Array).slice(0, channels));
  const { cameras, referenceView = 'saddle_balanced' } = options;
  return referenceFirst(encoded.length, cameras ? 0 : chooseReferenceView(tokens, referenceView));
};

const encodeCameras = async (run: Run): Promise<{ readonly tokens: DeviceTensor }> => {
  const { programs, views, options } = run;
  const program = programs.encodeCameras(views.views);
  return run.tensors.run(program, { poses: posesOf(options.cameras!, views) }, true);
};

const inImageOrder = async (
  encoded: readonly Encoded[],
  order: readonly number[],
  { poses, taps }: Mixed,
): Promise<Backbone> => {
  const values = (await poses.read()) as Float32Array;
  const pose = new Float32Array(values.length);
  const restored = encoded.map(({ taps: early }): Record<string, DeviceTensor> => ({ ...early }));
  order.forEach((view, place) => {
    pose.set(values.subarray(POSE_SIZE * place, POSE_SIZE * (place + 1)), POSE_SIZE * view);
    for (const [name, tap] of taps) restored[view]![name] = tap[place]!;
  });
  return { taps: restored, pose };
};

// ---------------------------------------------------------------------------------------------- features

const featureCollector = ({ programs, views, options: { features } }: Run) => {
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
