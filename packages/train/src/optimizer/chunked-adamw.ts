import {
  type BoundUpdate,
  ChunkedUpdate,
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
  type OptimizerKind,
  type Tensors,
  type UpdateScalars,
} from './group-update.js';

/**
 * AdamW of a group on the CPU: tensors of each kind lie in long arrays, as many as it takes, which are updated chunk by
 * chunk.
 */
export class ChunkedAdamw implements GroupUpdate {
  readonly tensors: Readonly<Record<OptimizerKind, Tensors>>;
  readonly #update: ChunkedUpdate;
  readonly #bound: readonly BoundUpdate[];

  private constructor(
    tensors: ChunkedAdamw['tensors'],
    update: ChunkedUpdate,
    bound: readonly BoundUpdate[],
  ) {
    this.tensors = tensors;
    this.#update = update;
    this.#bound = bound;
  }

  /** @param largestArray elements of one array at most, for tests. */
  static async create(
    specs: Readonly<Record<string, TensorSpec>>,
    settings: AdamwSettings,
    _device?: string,
    largestArray?: number,
  ): Promise<ChunkedAdamw> {
    const flat = Object.fromEntries(
      OPTIMIZER_KINDS.map((name) => [name, createFlatTensors(specs, largestArray)]),
    );
    const update = await ChunkedUpdate.create(
      (arrays, scalars) => chunkProgram(settings, arrays as never, scalars as never),
      {
        arrays: OPTIMIZER_KINDS,
        changed: OPTIMIZER_KINDS,
        scalars: ['gradientScale', 'secondScale', 'stepSize', 'decay'],
      },
    );
    const parts = flat['parameters']!.arrays.map((_, i) =>
      update.bind(mapValues(flat, ({ arrays }) => arrays[i]!)),
    );
    const tensors = mapValues(flat, (group) => group.tensors) as unknown as ChunkedAdamw['tensors'];
    return new ChunkedAdamw(tensors, update, parts);
  }

  async run(scalars: UpdateScalars): Promise<void> {
    for (const part of this.#bound) await part.run(scalars);
  }

  async dispose(): Promise<void> {
    this.#update.dispose();
    for (const kind of OPTIMIZER_KINDS) {
      for (const tensor of Object.values(this.tensors[kind])) tensor.dispose();
    }
  }
}

type ChunkArrays = Readonly<Record<OptimizerKind, Tensor>>;
type ChunkScalars = Parameters<typeof adamwUpdate>[3];

function chunkProgram(settings: AdamwSettings, arrays: ChunkArrays, scalars: ChunkScalars) {
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
