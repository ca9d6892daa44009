/** The compiled parts of VGGT: encoder and dense heads run view by view, the aggregator in a few stretches. */
import {
  float32,
  groupsOfViews,
  isIn,
  joinViews,
  NetworkPrograms,
  type ParameterScope,
  type PatchGrid,
  type ProgramTarget,
  type ProgramUse,
  repeated,
  type Stretch,
  stretchesFrom,
  type Tensor,
  type TensorPool,
  tf,
  viewsOfGroups,
} from '@spatialsv/core/kit';
import { aggregateStep, encodePatches, viewRotary, withSpecialTokens } from './vggt-aggregator.js';
import { cameraHead } from './vggt-camera-head.js';
import type { VggtConfig } from './vggt-config.js';
import { denseHead } from './vggt-dense-heads.js';
import type { DenseHead } from './vggt-names.js';
import type { VggtWeights } from './vggt-weights.js';

type Tensors = Readonly<Record<string, Tensor>>;

/** The aggregator in stretches that end where a head reads, and at the last step. */
export const stretchesOf = ({ dense, aggregator }: VggtConfig): readonly Stretch[] =>
  stretchesFrom(0, [...dense.taps, aggregator.depth - 1]);

/** Shapes of one view set: encoder, up to five stretches, camera head, two dense heads; twice that for two formats. */
const PROGRAMS = 18;

/** Programs of one checkpoint on one device. */
export class VggtPrograms {
  readonly #config: VggtConfig;
  readonly #programs: NetworkPrograms;

  constructor({ config, tensors }: VggtWeights, target: ProgramTarget) {
    this.#config = config;
    const options = { ...target, name: 'vggt', weights: tensors, programs: PROGRAMS };
    this.#programs = new NetworkPrograms(options);
  }

  /** What goes from program to program. */
  get tensors(): TensorPool {
    return this.#programs.tensors;
  }

  /** `{ image: (1, H, W, 3) in 0..1 }` → `{ patches: (1, N, C) }`. */
  encode({ h, w }: PatchGrid): ProgramUse {
    const { patchSize } = this.#config;
    return this.#programs.part({
      key: `encode ${h}×${w}`,
      specs: { image: float32(1, patchSize * h, patchSize * w, 3) },
      reads: (name) => name.startsWith('aggregator.patch_embed.'),
      program: (root, { image }: { readonly image: Tensor }) => ({
        patches: encodePatches(this.#config, root.scope('aggregator.patch_embed'), image),
      }),
    });
  }

  /**
   * `{ patches: { view: (1, N, C) } }` for the first stretch, `{ tokens }` of the one before for the others →
   * `{ tokens }`, or after the last one `{ camera: (V, 2C) }`; and `{ joined: (V, N, 2C) }`, patches only.
   */
  aggregate(views: number, grid: PatchGrid, { first, last }: Stretch): ProgramUse {
    const { width, registers } = this.#config;
    const cells = grid.h * grid.w;
    const special = 1 + registers;
    return this.#programs.part({
      key: `steps ${first}–${last} of ${views}×${grid.h}×${grid.w}`,
      specs:
        first === 0
          ? { patches: repeated(views, float32(1, cells, width)) }
          : { tokens: float32(views, special + cells, width) },
      reads: isOfStretch({ first, last }),
      program: (root, inputs: { readonly patches?: Tensors; readonly tokens?: Tensor }) => {
        const scope = root.scope('aggregator');
        const start = inputs.tokens ?? withSpecialTokens(scope, joinViews(inputs.patches!, views));
        return runStretch(this.#config, scope, start, grid, { first, last });
      },
    });
  }

  /** `{ camera: (V, 2C) }` → `{ pose: (V, 9) }`. */
  camera(views: number): ProgramUse {
    return this.#programs.part({
      key: `camera head of ${views}`,
      specs: { camera: float32(views, 2 * this.#config.width) },
      reads: (name) => name.startsWith('camera_head.'),
      program: (root, { camera }: { readonly camera: Tensor }) => ({
        pose: cameraHead(this.#config, root.scope('camera_head'), camera).at(-1)!,
      }),
      isExact: true,
    });
  }

  /** `{ taps: { 0 … 3: (1, N, 2C) } }` → `{ value, confidence }` of one view. */
  head(head: DenseHead, { h, w }: PatchGrid): ProgramUse {
    const { patchSize, width } = this.#config;
    const size = { height: patchSize * h, width: patchSize * w };
    return this.#programs.part({
      key: `${head} head ${h}×${w}`,
      specs: { taps: repeated(4, float32(1, h * w, 2 * width)) },
      reads: (name) => name.startsWith(`${head}_head.`),
      program: (root, { taps }: { readonly taps: Tensors }) => {
        const ordered = [0, 1, 2, 3].map((k) => taps[k]!);
        return { ...denseHead(this.#config, head, root.scope(`${head}_head`), ordered, size) };
      },
      // Convolutions are most of its work, it runs once for every view, and its weights are the smallest share.
      prepareWeights: true,
      isExact: true,
    });
  }

  dispose(): Promise<void> {
    return this.#programs.dispose();
  }
}

const STEP = /^aggregator\.(?:frame|global)_blocks\.(\d+)\./;

function isOfStretch(stretch: Stretch): (name: string) => boolean {
  return (name) => {
    const step = STEP.exec(name)?.[1];
    if (step !== undefined) return isIn(stretch, Number(step));
    return stretch.first === 0 && /^aggregator\.(?:camera|register)_token$/.test(name);
  };
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
