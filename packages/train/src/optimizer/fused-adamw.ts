import {
  type BoundUpdate,
  createFlatTensors,
  FusedUpdate,
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

/** AdamW of a group on the CPU: tensors of each kind lie in long arrays, as many as it takes, which are updated in one pass. */
export class FusedAdamw implements GroupUpdate {
  readonly tensors: Readonly<Record<OptimizerKind, Tensors>>;
  readonly #bound: readonly BoundUpdate[];

  private constructor(tensors: FusedAdamw['tensors'], bound: readonly BoundUpdate[]) {
    this.tensors = tensors;
    this.#bound = bound;
  }

  /** @param largestArray elements of one array at most, for tests. */
  static async create(
    specs: Readonly<Record<string, TensorSpec>>,
    settings: AdamwSettings,
    _device?: string,
    largestArray?: number,
  ): Promise<FusedAdamw> {
    const flat = Object.fromEntries(
      OPTIMIZER_KINDS.map((name) => [name, createFlatTensors(specs, largestArray)]),
    );
    const update = new FusedUpdate(
      (arrays, scalars) => updateProgram(settings, arrays as never, scalars as never),
      {
        arrays: OPTIMIZER_KINDS,
        changed: OPTIMIZER_KINDS,
        scalars: ['gradientScale', 'secondScale', 'stepSize', 'decay'],
      },
    );
    const parts = flat['parameters']!.arrays.map((_, i) =>
      update.bind(mapValues(flat, ({ arrays }) => arrays[i]!)),
    );
    const tensors = mapValues(flat, (group) => group.tensors) as FusedAdamw['tensors'];
    return new FusedAdamw(tensors, parts);
  }

  async run(scalars: UpdateScalars): Promise<void> {
    for (const part of this.#bound) await part.run(scalars);
  }

  async dispose(): Promise<void> {
    for (const part of this.#bound) part.dispose();
    for (const kind of OPTIMIZER_KINDS) {
      for (const tensor of Object.values(this.tensors[kind])) tensor.dispose();
    }
  }
}

type GroupArrays = Readonly<Record<OptimizerKind, Tensor>>;
type GroupScalars = Parameters<typeof adamwUpdate>[3];

function updateProgram(settings: AdamwSettings, arrays: GroupArrays, scalars: GroupScalars) {
  const { parameters, first, second, accumulators } = arrays;
  const state = { parameter: parameters, first, second };
  const updated = adamwUpdate(settings, state, accumulators, scalars);
  return {
    parameters: updated.parameter,
    first: updated.first,
    second: updated.second,
    // Zeros where parameters are finite, as they are here.
    accumulators: tf.mul(updated.parameter, 0),
  };
}
