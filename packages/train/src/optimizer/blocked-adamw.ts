import {
  BlockedUpdate,
  type BoundUpdate,
  createFlatTensors,
  type Tensor,
  type TensorSpec,
  tf,
} from '@spatialsv/engine';
import { mapValues } from '../records.js';
import { type AdamwSettings, adamwUpdate } from './adamw.js';
import {
  type GroupUpdate,
  OPTIMIZER_KINDS,
  type OptimizerTensors,
  type UpdateScalars,
} from './group-update.js';

/** AdamW of a group on the CPU: its tensors lie in four long arrays, which are updated block by block. */
export class BlockedAdamw implements GroupUpdate {
  readonly tensors: OptimizerTensors;
  readonly #update: BlockedUpdate;
  readonly #bound: BoundUpdate;

  private constructor(tensors: OptimizerTensors, update: BlockedUpdate, bound: BoundUpdate) {
    this.tensors = tensors;
    this.#update = update;
    this.#bound = bound;
  }

  static async create(
    specs: Readonly<Record<string, TensorSpec>>,
    settings: AdamwSettings,
  ): Promise<BlockedAdamw> {
    const flat = Object.fromEntries(
      OPTIMIZER_KINDS.map((name) => [name, createFlatTensors(specs)]),
    );
    const update = await BlockedUpdate.create(
      (arrays, scalars) => blockProgram(settings, arrays as never, scalars as never),
      {
        arrays: OPTIMIZER_KINDS,
        changed: OPTIMIZER_KINDS,
        scalars: ['gradientScale', 'secondScale', 'stepSize', 'decay'],
      },
    );
    const bound = update.bind(mapValues(flat, ({ memory }) => memory));
    const tensors = mapValues(flat, (group) => group.tensors) as unknown as OptimizerTensors;
    return new BlockedAdamw(tensors, update, bound);
  }

  run(scalars: UpdateScalars): Promise<void> {
    return this.#bound.run(scalars);
  }

  async dispose(): Promise<void> {
    this.#update.dispose();
    for (const kind of OPTIMIZER_KINDS) {
      for (const tensor of Object.values(this.tensors[kind])) tensor.dispose();
    }
  }
}

type BlockArrays = Readonly<Record<(typeof OPTIMIZER_KINDS)[number], Tensor>>;
type BlockScalars = Parameters<typeof adamwUpdate>[3];

function blockProgram(settings: AdamwSettings, arrays: BlockArrays, scalars: BlockScalars) {
  const { parameters, first, second, accumulators } = arrays;
  const state = { parameter: parameters, first, second };
  const updated = adamwUpdate(settings, state, accumulators, scalars);
  return {
    parameters: updated.parameter,
    first: updated.first,
    second: updated.second,
    // Zeros that come after the last use of the gradient, so that they may be written over it; parameters are finite here.
    accumulators: tf.mul(updated.parameter, 0),
  };
}
