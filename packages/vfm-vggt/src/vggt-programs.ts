/**
 * The compiled parts of VGGT. Each is made once per shape and reads its own share of the weights, so that at no time more
 * than one share has to be in memory: encoder and dense heads run view by view, the aggregator in a few stretches.
 */
import {
  compile,
  float32,
  groupsOfViews,
  type ParameterScope,
  ProgramCache,
  type ProgramUse,
  parameterScope,
  type Tensor,
  tf,
  viewsOfGroups,
} from '@spatialsv/core';
import {
  aggregateStep,
  encodePatches,
  type PatchGrid,
  viewRotary,
  withSpecialTokens,
} from './vggt-aggregator.js';
import { cameraHead } from './vggt-camera-head.js';
import type { VggtConfig } from './vggt-config.js';
import { denseHead } from './vggt-dense-heads.js';
import type { DenseHead } from './vggt-names.js';
import type { VggtWeights } from './vggt-weights.js';

type Tensors = Readonly<Record<string, Tensor>>;
type Specs = Parameters<typeof compile>[1];

/** Steps of the aggregator that are one program: `first` … `last`. The joined result of the last one leaves it. */
export interface Stretch {
  readonly first: number;
  readonly last: number;
}

/** Stretches that end where a head reads, and at the last step. */
export function stretchesOf({ dense, aggregator }: VggtConfig): readonly Stretch[] {
  const ends = [...new Set([...dense.taps, aggregator.depth - 1])].sort((a, b) => a - b);
  return ends.map((last, index) => ({ first: index === 0 ? 0 : ends[index - 1]! + 1, last }));
}

/** Shapes of one view set: encoder, up to five stretches, camera head, two dense heads; twice that for two formats. */
const PROGRAMS = 18;

/** Programs of one checkpoint on one device. */
export class VggtPrograms {
  readonly #weights: VggtWeights;
  readonly #device: string;
  readonly #programs = new ProgramCache(PROGRAMS);

  constructor(weights: VggtWeights, device: string) {
    this.#weights = weights;
    this.#device = device;
  }

  get #config(): VggtConfig {
    return this.#weights.config;
  }

  /** `{ image: (1, H, W, 3) in 0..1 }` → `{ patches: (1, N, C) }`. */
  encode({ h, w }: PatchGrid): ProgramUse {
    const { patchSize } = this.#config;
    return this.#program(
      `encode ${h}×${w}`,
      'aggregator.patch_embed.',
      { image: float32(1, patchSize * h, patchSize * w, 3) },
      (root, { image }: { image: Tensor }) => ({
        patches: encodePatches(this.#config, root.scope('aggregator.patch_embed'), image),
      }),
    );
  }

  /**
   * `{ patches: { view: (1, N, C) } }` for the first stretch, `{ tokens }` of the one before for the others →
   * `{ tokens }`, or after the last one `{ camera: (V, 2C) }`; and `{ joined: (V, N, 2C) }`, patches only.
   */
  aggregate(views: number, grid: PatchGrid, { first, last }: Stretch): ProgramUse {
    const { width, registers } = this.#config;
    const cells = grid.h * grid.w;
    const patch = float32(1, cells, width);
    const specs: Specs =
      first === 0
        ? { patches: Object.fromEntries(Array.from({ length: views }, (_, v) => [v, patch])) }
        : { tokens: float32(views, 1 + registers + cells, width) };
    return this.#program(
      `steps ${first}–${last} of ${views}×${grid.h}×${grid.w}`,
      isOfStretch({ first, last }),
      specs,
      (root, inputs: { patches?: Tensors; tokens?: Tensor }) => {
        const scope = root.scope('aggregator');
        const start = inputs.tokens ?? withSpecialTokens(scope, joinViews(inputs.patches!, views));
        return runStretch(this.#config, scope, start, grid, { first, last });
      },
    );
  }

  /** `{ camera: (V, 2C) }` → `{ pose: (V, 9) }`. */
  camera(views: number): ProgramUse {
    return this.#program(
      `camera head of ${views}`,
      'camera_head.',
      { camera: float32(views, 2 * this.#config.width) },
      (root, { camera }: { camera: Tensor }) => ({
        pose: cameraHead(this.#config, root.scope('camera_head'), camera).at(-1)!,
      }),
    );
  }

  /** `{ taps: { 0 … 3: (1, N, 2C) } }` → `{ value, confidence }` of one view. */
  head(head: DenseHead, { h, w }: PatchGrid): ProgramUse {
    const { patchSize, width } = this.#config;
    const tap = float32(1, h * w, 2 * width);
    const size = { height: patchSize * h, width: patchSize * w };
    return this.#program(
      `${head} head ${h}×${w}`,
      `${head}_head.`,
      { taps: { 0: tap, 1: tap, 2: tap, 3: tap } },
      (root, { taps }: { taps: Tensors }) => {
        const ordered = [0, 1, 2, 3].map((k) => taps[k]!);
        return { ...denseHead(this.#config, head, root.scope(`${head}_head`), ordered, size) };
      },
      // Convolutions are most of its work, it runs once for every view, and its weights are the smallest share.
      { prepareWeights: true },
    );
  }

  dispose(): Promise<void> {
    return this.#programs.dispose();
  }

  /** @param weights prefix of the names that the program reads, or which they are. */
  #program<Inputs>(
    key: string,
    weights: string | ((name: string) => boolean),
    specs: Specs,
    program: (root: ParameterScope, inputs: Inputs) => Record<string, Tensor>,
    options: { readonly prepareWeights?: boolean } = {},
  ): ProgramUse {
    const isRead =
      typeof weights === 'string' ? (name: string) => name.startsWith(weights) : weights;
    const make = () => {
      const read = Object.entries(this.#weights.tensors).filter(([name]) => isRead(name));
      const traced = (inputs: Inputs & { readonly weights: Tensors }) =>
        program(parameterScope(inputs.weights), inputs);
      return compile(
        traced as never,
        { ...(specs as object), weights: Object.fromEntries(read) },
        { ...options, device: this.#device, name: `vggt ${key}` },
      );
    };
    return (work) => this.#programs.use(key, make, work);
  }
}

const STEP = /^aggregator\.(?:frame|global)_blocks\.(\d+)\./;

function isOfStretch({ first, last }: Stretch): (name: string) => boolean {
  return (name) => {
    const step = STEP.exec(name)?.[1];
    if (step !== undefined) return Number(step) >= first && Number(step) <= last;
    return first === 0 && /^aggregator\.(?:camera|register)_token$/.test(name);
  };
}

function joinViews(patches: Tensors, views: number): Tensor {
  const ordered = Array.from({ length: views }, (_, view) => patches[view]!);
  return views === 1 ? ordered[0]! : tf.concat(ordered, 0);
}

function runStretch(
  config: VggtConfig,
  parameters: ParameterScope,
  start: Tensor,
  grid: PatchGrid,
  { first, last }: Stretch,
): Record<string, Tensor> {
  const rotary = viewRotary(config, grid);
  let step = aggregateStep(config, parameters, groupsOfViews(start), first, rotary);
  for (let index = first + 1; index <= last; index++) {
    step = aggregateStep(config, parameters, step.tokens, index, rotary);
  }
  const ofLast = step.joined();
  const [views, , channels] = ofLast.shape as [number, number, number];
  const special = 1 + config.registers;
  const joined = tf.slice(ofLast, [0, special, 0], [views, grid.h * grid.w, channels]);
  if (last < config.aggregator.depth - 1) return { joined, tokens: viewsOfGroups(step.tokens) };
  const camera = tf.reshape(tf.slice(ofLast, [0, 0, 0], [views, 1, channels]), [views, channels]);
  return { joined, camera };
}
