import { EngineError } from '../errors.js';
import type { StoredType } from '../specs.js';

/** Element types of tensors that cross the border to ONNX Runtime: ONNX code, bytes, and the JavaScript array. */
const TABLE = {
  float32: { code: 1, bytes: 4, array: Float32Array },
  uint8: { code: 2, bytes: 1, array: Uint8Array },
  int8: { code: 3, bytes: 1, array: Int8Array },
  uint16: { code: 4, bytes: 2, array: Uint16Array },
  int16: { code: 5, bytes: 2, array: Int16Array },
  int32: { code: 6, bytes: 4, array: Int32Array },
  int64: { code: 7, bytes: 8, array: BigInt64Array },
  bool: { code: 9, bytes: 1, array: Uint8Array },
  float16: { code: 10, bytes: 2, array: Uint16Array },
  float64: { code: 11, bytes: 8, array: Float64Array },
  uint32: { code: 12, bytes: 4, array: Uint32Array },
  uint64: { code: 13, bytes: 8, array: BigUint64Array },
  bfloat16: { code: 16, bytes: 2, array: Uint16Array },
} as const;

export type ElementType = keyof typeof TABLE;

/** Memory of a tensor on the host. `float16` and `bfloat16` are their bit patterns in a Uint16Array. */
export type HostMemory =
  | Float32Array
  | Float64Array
  | Int8Array
  | Uint8Array
  | Int16Array
  | Uint16Array
  | Int32Array
  | Uint32Array
  | BigInt64Array
  | BigUint64Array;

const BY_CODE = new Map(Object.entries(TABLE).map(([name, { code }]) => [code as number, name]));

/** Types in which safetensors files hold weights. */
export const STORED_TYPE = {
  F32: 'float32',
  F16: 'float16',
  BF16: 'bfloat16',
} as const satisfies Readonly<Record<StoredType, ElementType>>;

export const onnxCode = (type: ElementType): number => TABLE[type].code;
export const bytesPerElement = (type: ElementType): number => TABLE[type].bytes;

/** A zeroed array of the right kind. */
export function allocateHost(type: ElementType, elements: number): HostMemory {
  return new TABLE[type].array(elements);
}

/** @throws EngineError VALUE_INVALID for types that have no array (strings, complex numbers, 4- and 8-bit floats). */
export function elementTypeOf(code: number): ElementType {
  const name = BY_CODE.get(code);
  if (name) return name as ElementType;
  throw new EngineError({
    code: 'VALUE_INVALID',
    message: `ONNX element type ${code} is not supported by the executor: expected one of ${[...BY_CODE.values()].join(', ')}`,
    hint: 'Cast it inside the graph.',
  });
}
