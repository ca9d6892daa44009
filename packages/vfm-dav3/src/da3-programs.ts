/** The compiled parts of a network; dense heads and the first part of the backbone run one view at a time. */
import {
  float32,
  isIn,
  joinViews,
  NetworkPrograms,
  ops,
  type ParameterScope,
  type PatchGrid,
  type ProgramTarget,
  type ProgramUse,
  perView,
  repeated,
  type Stretch,
  type Tensor,
  type TensorPool,
  tf,
} from '@spatialsv/core/kit';
import { blocksBeforeMixing, encodeView, mixViews } from './da3-backbone.js';
import { cameraTokens, decodePoses, POSE_SIZE } from './da3-cameras.js';
import { type NetworkConfig, PATCH, tapChannels } from './da3-config.js';
import { dualHead } from './da3-dual-dpt.js';
import { monoHead } from './da3-mono-head.js';
import { isRead } from './da3-names.js';
import type { NetworkWeights } from './da3-weights.js';

const TRUNK = 'backbone.pretrained';
const PLACES = ['0', '1', '2', '3'];
/** Shapes of one label run: encoder, four stretches, cameras, head; twice that keeps two image formats at hand. */
const PROGRAMS = 14;
type Tensors = Readonly<Record<string, Tensor>>;

/** What a run of the second part is made for. */
export interface MixShape extends PatchGrid {
  readonly views: number;
  readonly knownCameras: boolean;
}

/** Programs of one network on one device. */
export class Da3Programs {
  readonly config: NetworkConfig;
  readonly #programs: NetworkPrograms;

  constructor(config: NetworkConfig, weights: NetworkWeights, target: ProgramTarget) {
    this.config = config;
    this.#programs = new NetworkPrograms({ ...target, name: 'dav3', weights, programs: PROGRAMS });
  }

  /** What goes from program to program. */
  get tensors(): TensorPool {
    return this.#programs.tensors;
  }

  /** Places of the taps that the first part gives; the second part gives the others. */
  get earlyPlaces(): readonly string[] {
    const { backbone } = this.config;
    return PLACES.filter((place) => backbone.taps[Number(place)]! < blocksBeforeMixing(backbone));
  }

  /** `{ image: (1, H, W, 3) }` → `{ state, taps: { place: (1, N, …) } }`. */
  encode({ h, w }: PatchGrid): ProgramUse {
    const { backbone } = this.config;
    const last = blocksBeforeMixing(backbone);
    return this.#programs.part({
      key: `encode ${h}×${w}`,
      specs: { image: float32(1, PATCH * h, PATCH * w, 3) },
      reads: (name) => this.#isEncoding(name, last),
      program: (root, { image }: { readonly image: Tensor }) => {
        const { state, taps } = encodeView(backbone, root.scope(TRUNK), image);
        // In networks of one image nothing reads the state.
        return last === backbone.depth ? { taps } : { state, ...given({ taps }) };
      },
    });
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
    return this.#programs.part({
      key: `mix ${first}–${last} of ${views}×${h}×${w}${knownCameras ? ' cameras' : ''}`,
      specs: {
        ...(isFirst ? { states: repeated(views, state) } : { state }),
        ...(takesTokens && { tokens: float32(views, 1, backbone.channels) }),
      },
      reads: (name) => this.#isMixing(name, stretch, knownCameras),
      program: (root, inputs: MixInputs) => {
        const start = inputs.state ?? joinViews(inputs.states!, views);
        const trunk = root.scope(TRUNK);
        const mixed = mixViews(backbone, trunk, start, shape, stretch, inputs.tokens);
        const tap = perView(mixed.tap, views);
        if (last < backbone.depth - 1) return { tap, state: mixed.state };
        return { tap, poses: poses(root, mixed.special) };
      },
    });
  }

  /** `{ poses: (S, 9) }` → `{ tokens: (S, 1, C) }`. */
  encodeCameras(views: number): ProgramUse {
    return this.#programs.part({
      key: `cameras ${views}`,
      specs: { poses: float32(views, POSE_SIZE) },
      reads: (name) => name.startsWith('cam_enc.'),
      isExact: true,
      program: (root, { poses }: { readonly poses: Tensor }) => ({
        tokens: cameraTokens(this.config.cameraEncoder!, root.scope('cam_enc'), poses),
      }),
    });
  }

  /** `{ taps: { place: (1, N, …) } }` → outputs of `dualHead` or `monoHead`. */
  head({ h, w }: PatchGrid, withRays: boolean): ProgramUse {
    const { backbone, head } = this.config;
    const size = { height: PATCH * h, width: PATCH * w };
    const width = tapChannels(backbone);
    return this.#programs.part({
      key: `head ${h}×${w}${withRays ? ' rays' : ''}`,
      specs: { taps: repeated(PLACES.length, float32(1, h * w, width)) },
      reads: (name) =>
        name.startsWith('head.') && isRead(name) && (withRays || !name.includes('_aux')),
      program: (root, { taps }: { readonly taps: Tensors }) => {
        const maps = PLACES.map((place) => tf.reshape(taps[place]!, [1, h, w, width]));
        return head.kind === 'dual'
          ? dualHead(root, maps, size, withRays)
          : monoHead(root, maps, size);
      },
      // Convolutions are most of its work, it runs once for every view, and its weights are the smallest share.
      prepareWeights: true,
      isExact: true,
    });
  }

  dispose(): Promise<void> {
    return this.#programs.dispose();
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

/** In float32, as the original computes them. */
const poses = (root: ParameterScope, special: Tensor): Tensor =>
  ops.inFloat32(() => decodePoses(root.scope('cam_dec'), special));

/** First stretch: `states` by place, others: `state`. */
interface MixInputs {
  readonly states?: Tensors;
  readonly state?: Tensor;
  readonly tokens?: Tensor;
}

const blockOf = (name: string): number | undefined => {
  const match = /^backbone\.pretrained\.blocks\.(\d+)\./.exec(name);
  return match === null ? undefined : Number(match[1]);
};

/** Leaves empty records out: a program returns tensors only. */
const given = <T extends Record<string, object>>(groups: T): Partial<T> =>
  Object.fromEntries(
    Object.entries(groups).filter(([, group]) => Object.keys(group).length > 0),
  ) as Partial<T>;
