/** The compiled parts of a network. Each is made once per shape; dense heads and the first part of the backbone run one view at a time. */
import {
  compile,
  float32,
  ProgramCache,
  type ProgramUse,
  parameterScope,
  type Tensor,
  TensorPool,
  tf,
} from '@spatialsv/core';
import {
  blocksBeforeMixing,
  encodeView,
  type Grid,
  isIn,
  mixViews,
  type Stretch,
} from './da3-backbone.js';
import { cameraTokens, decodePoses, POSE_SIZE } from './da3-cameras.js';
import { type NetworkConfig, PATCH, tapChannels } from './da3-config.js';
import { dualHead } from './da3-dual-dpt.js';
import { monoHead } from './da3-mono-head.js';
import { isRead } from './da3-names.js';
import type { NetworkWeights } from './da3-weights.js';

const TRUNK = 'backbone.pretrained';
const PLACES = ['0', '1', '2', '3'];
/** Shapes of one label run: encoder, four stretches, cameras, head; twice that keeps two picture formats at hand. */
const PROGRAMS = 14;
/** Bytes of tensors kept for the next view set: those of eight views of a large network. */
const KEPT_TENSORS = 2 ** 29;

type Inputs = { readonly weights: Readonly<Record<string, Tensor>> };
type Tensors = Readonly<Record<string, Tensor>>;

/** What a run of the second part is made for. */
export interface MixShape extends Grid {
  readonly views: number;
  readonly knownCameras: boolean;
}

/** Programs of one network on one device. */
export class NetworkPrograms {
  readonly config: NetworkConfig;
  /** What goes from program to program. */
  readonly tensors = new TensorPool(KEPT_TENSORS);
  readonly #weights: NetworkWeights;
  readonly #device: string;
  readonly #programs = new ProgramCache(PROGRAMS);

  constructor(config: NetworkConfig, weights: NetworkWeights, device: string) {
    this.config = config;
    this.#weights = weights;
    this.#device = device;
  }

  /** Places of the taps that the first part gives; the second part gives the others. */
  get earlyPlaces(): readonly string[] {
    const { backbone } = this.config;
    return PLACES.filter((place) => backbone.taps[Number(place)]! < blocksBeforeMixing(backbone));
  }

  /** `{ image: (1, H, W, 3) }` → `{ state, taps: { place: (1, N, …) } }`. */
  encode({ h, w }: Grid): ProgramUse {
    const { backbone } = this.config;
    const last = blocksBeforeMixing(backbone);
    return this.#program(
      `encode ${h}×${w}`,
      ({ weights, image }: Inputs & { readonly image: Tensor }) => {
        const scope = parameterScope(weights, TRUNK);
        const { state, taps } = encodeView(backbone, scope, image);
        // In networks of one picture nothing reads the state.
        return last === backbone.depth ? { taps } : { state, ...given({ taps }) };
      },
      { image: float32(1, PATCH * h, PATCH * w, 3) },
      (name) => this.#isEncoding(name, last),
    );
  }

  /**
   * `{ states: { view: (1, 1 + N, C) }, tokens? }` for the first stretch, `{ state: (S, 1 + N, C) }` for the others →
   * `{ tap: { view: (1, N, 2C) }, state }`, or after the last one `{ tap, poses: (S, 9) }`.
   */
  mix(shape: MixShape, stretch: Stretch): ProgramUse {
    const { backbone } = this.config;
    const { views, h, w, knownCameras } = shape;
    const { first, last } = stretch;
    const isFirst = first === blocksBeforeMixing(backbone);
    const takesTokens = knownCameras && isIn(stretch, backbone.crossViewStart!);
    const state = float32(isFirst ? 1 : views, 1 + h * w, backbone.channels);
    return this.#program(
      `mix ${first}–${last} of ${views}×${h}×${w}${knownCameras ? ' cameras' : ''}`,
      (inputs: MixInputs) => {
        const scope = parameterScope(inputs.weights, TRUNK);
        const start = inputs.state ?? joinViews(inputs.states!, views);
        const mixed = mixViews(backbone, scope, start, shape, stretch, inputs.tokens);
        const tap = perView(mixed.tap, views);
        if (last < backbone.depth - 1) return { tap, state: mixed.state };
        const poses = decodePoses(parameterScope(inputs.weights, 'cam_dec'), mixed.special);
        return { tap, poses };
      },
      {
        ...(isFirst ? { states: repeated(views, state) } : { state }),
        ...(takesTokens && { tokens: float32(views, 1, backbone.channels) }),
      },
      (name) => this.#isMixing(name, stretch, knownCameras),
    );
  }

  /** `{ poses: (S, 9) }` → `{ tokens: (S, 1, C) }`. */
  encodeCameras(views: number): ProgramUse {
    return this.#program(
      `cameras ${views}`,
      ({ weights, poses }: Inputs & { readonly poses: Tensor }) => {
        const scope = parameterScope(weights, 'cam_enc');
        return { tokens: cameraTokens(this.config.cameraEncoder!, scope, poses) };
      },
      { poses: float32(views, POSE_SIZE) },
      (name) => name.startsWith('cam_enc.'),
    );
  }

  /** `{ taps: { place: (1, N, …) } }` → outputs of `dualHead` or `monoHead`. */
  head({ h, w }: Grid, withRays: boolean): ProgramUse {
    const { backbone, head } = this.config;
    const size = { height: PATCH * h, width: PATCH * w };
    const width = tapChannels(backbone);
    return this.#program(
      `head ${h}×${w}${withRays ? ' rays' : ''}`,
      ({ weights, taps }: Inputs & { readonly taps: Tensors }) => {
        const scope = parameterScope(weights);
        const maps = PLACES.map((place) => tf.reshape(taps[place]!, [1, h, w, width]));
        return head.kind === 'dual'
          ? dualHead(scope, maps, size, withRays)
          : monoHead(scope, maps, size);
      },
      { taps: repeated(PLACES.length, float32(1, h * w, width)) },
      (name) => name.startsWith('head.') && isRead(name) && (withRays || !name.includes('_aux')),
      // Convolutions are most of its work, it runs once for every view, and its weights are the smallest share.
      { prepareWeights: true },
    );
  }

  dispose(): Promise<void> {
    this.tensors.dispose();
    return this.#programs.dispose();
  }

  #program(
    key: string,
    program: (inputs: never) => unknown,
    specs: Record<string, unknown>,
    isUsed: (name: string) => boolean,
    options: { readonly prepareWeights?: boolean } = {},
  ): ProgramUse {
    const used = Object.entries(this.#weights).filter(([name]) => isUsed(name));
    const make = () =>
      compile(
        program as Parameters<typeof compile>[0],
        { ...specs, weights: Object.fromEntries(used) } as Parameters<typeof compile>[1],
        { ...options, device: this.#device, name: `dav3 ${key}` },
      );
    return (work) => this.#programs.use(key, make, work);
  }

  #isEncoding(name: string, end: number): boolean {
    if (!name.startsWith(`${TRUNK}.`)) return false;
    const block = blockOf(name);
    if (block !== undefined) return block < end;
    if (name.startsWith(`${TRUNK}.norm.`)) return this.earlyPlaces.length > 0;
    return !name.endsWith('camera_token');
  }

  #isMixing(name: string, stretch: Stretch, knownCameras: boolean): boolean {
    const { crossViewStart, depth } = this.config.backbone;
    const block = blockOf(name);
    if (block !== undefined) return isIn(stretch, block);
    if (name.endsWith('camera_token')) return !knownCameras && isIn(stretch, crossViewStart!);
    if (name.startsWith('cam_dec.')) return stretch.last === depth - 1;
    return name.startsWith(`${TRUNK}.norm.`);
  }
}

/** First stretch: `states` by place, others: `state`. */
interface MixInputs extends Inputs {
  readonly states?: Tensors;
  readonly state?: Tensor;
  readonly tokens?: Tensor;
}

const joinViews = (states: Tensors, views: number): Tensor =>
  tf.concat(
    Array.from({ length: views }, (_, view) => states[view]!),
    0,
  );

const blockOf = (name: string): number | undefined => {
  const match = /^backbone\.pretrained\.blocks\.(\d+)\./.exec(name);
  return match === null ? undefined : Number(match[1]);
};

const repeated = <T>(count: number, value: T): Record<string, T> =>
  Object.fromEntries(Array.from({ length: count }, (_, i) => [i, value]));

/** Leaves empty records out: a program returns tensors only. */
const given = <T extends Record<string, object>>(groups: T): Partial<T> =>
  Object.fromEntries(
    Object.entries(groups).filter(([, group]) => Object.keys(group).length > 0),
  ) as Partial<T>;

/** (S, N, C) → (1, N, C) by view. */
const perView = (tap: Tensor, views: number): Tensors => {
  const parts = views === 1 ? [tap] : (tf.split(tap, views, 0) as Tensor[]);
  return Object.fromEntries(parts.map((part, view) => [view, part]));
};
