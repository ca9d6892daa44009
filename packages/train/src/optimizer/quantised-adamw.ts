import {
  type BoundUpdate,
  createFlatTensors,
  type FlatTensors,
  FusedUpdate,
  type Tensor,
  type TensorSpec,
  tf,
} from '@spatialsv/engine';
import { mapValues } from '../records.js';
import { type AdamwSettings, adamwUpdate } from './adamw.js';
import type { GroupUpdate, MomentTensor, OptimizerTensors, UpdateScalars } from './group-update.js';
import {
  BLOCK,
  decodeMoments,
  decodeSigned,
  decodeUnsigned,
  encodeMoments,
  encodeSigned,
  encodeUnsigned,
  type StoredCodes,
  zeroCodes,
} from './quantised-moments.js';

const ARRAYS = [
  'parameters',
  'accumulators',
  'firstCodes',
  'firstScales',
  'secondCodes',
  'secondScales',
] as const;
type ArrayName = (typeof ARRAYS)[number];

/**
 * AdamW of a group on the CPU whose moments are kept in 8 bits, block by block: every block is decoded, updated and encoded while
 * it is in the cache. Parameters and gradients are float32, tensors begin at blocks of their own.
 */
export class QuantisedAdamw implements GroupUpdate {
  readonly tensors: OptimizerTensors;
  readonly #bound: readonly BoundUpdate[];

  private constructor(tensors: OptimizerTensors, bound: readonly BoundUpdate[]) {
    this.tensors = tensors;
    this.#bound = bound;
  }

  static async create(
    specs: Readonly<Record<string, TensorSpec>>,
    settings: AdamwSettings,
  ): Promise<QuantisedAdamw> {
    const parameters = createFlatTensors(specs, undefined, BLOCK);
    const accumulators = createFlatTensors(specs, undefined, BLOCK);
    const zeros = (isSigned: boolean) =>
      parameters.arrays.map(({ length }) => zeroCodes(length, isSigned));
    const [first, second] = [zeros(true), zeros(false)];
    const update = new FusedUpdate(
      (arrays, scalars) => updateProgram(settings, arrays as never, scalars as never),
      {
        arrays: ARRAYS,
        changed: ARRAYS,
        scalars: ['gradientScale', 'secondScale', 'stepSize', 'decay'],
        bytes: ['firstCodes', 'secondCodes'],
        perBlock: ['firstScales', 'secondScales'],
      },
    );
    const bound = parameters.arrays.map((values, i) =>
      update.bind({
        ...{ parameters: values, accumulators: accumulators.arrays[i]! },
        ...{ firstCodes: first[i]!.codes, firstScales: first[i]!.scales },
        ...{ secondCodes: second[i]!.codes, secondScales: second[i]!.scales },
      }),
    );
    const tensors = {
      parameters: parameters.tensors,
      accumulators: accumulators.tensors,
      first: momentTensors(specs, parameters, first, true),
      second: momentTensors(specs, parameters, second, false),
    };
    return new QuantisedAdamw(tensors, bound);
  }

  async run(scalars: UpdateScalars): Promise<void> {
    for (const part of this.#bound) await part.run(scalars);
  }

  async dispose(): Promise<void> {
    for (const part of this.#bound) part.dispose();
    const { parameters, accumulators } = this.tensors;
    for (const tensor of [...Object.values(parameters), ...Object.values(accumulators)])
      tensor.dispose();
  }
}

/** Moments by name as float32: decoded when they are read, encoded when they are written. */
function momentTensors(
  specs: Readonly<Record<string, TensorSpec>>,
  { places }: FlatTensors,
  stored: readonly StoredCodes[],
  isSigned: boolean,
): Readonly<Record<string, MomentTensor>> {
  return mapValues(specs, ({ shape }, name) => {
    const { array, start, size } = places[name]!;
    const { codes, scales } = stored[array]!;
    const blocks = [start / BLOCK, Math.ceil((start + size) / BLOCK)] as const;
    const part = {
      codes: codes.subarray(start, start + size),
      scales: scales.subarray(...blocks),
    };
    return {
      shape,
      read: async () => decodeMoments(part, isSigned),
      write: async (values: Float32Array) => encodeMoments(values, part, isSigned),
    };
  });
}

type GroupArrays = Readonly<Record<ArrayName, Tensor>>;
type GroupScalars = Parameters<typeof adamwUpdate>[3];

function updateProgram(settings: AdamwSettings, arrays: GroupArrays, scalars: GroupScalars) {
  const { parameters, accumulators } = arrays;
  const first = decodeSigned({ codes: arrays.firstCodes, scales: arrays.firstScales });
  const second = decodeUnsigned({ codes: arrays.secondCodes, scales: arrays.secondScales });
  const state = { parameter: parameters, first, second };
  const updated = adamwUpdate(settings, state, accumulators, scalars);
  const [m, v] = [encodeSigned(updated.first), encodeUnsigned(updated.second)];
  return {
    parameters: updated.parameter,
    ...{ firstCodes: m.codes, firstScales: m.scales },
    ...{ secondCodes: v.codes, secondScales: v.scales },
    // Zeros where parameters are finite, as they are here.
    accumulators: tf.mul(updated.parameter, 0),
  };
}
