import { EngineError } from '../errors.js';
import { sizeOf } from '../graph/graph.js';
import type { DType, HostArray, TensorSpec } from '../specs.js';

const ARRAYS = { float32: Float32Array, int32: Int32Array, bool: Uint8Array } as const;

export const newHostArray = (dtype: DType, size: number): HostArray => new ARRAYS[dtype](size);

/** A host array of exactly the spec's type and size. @throws EngineError INPUT_INVALID. */
export function hostArray(name: string, spec: TensorSpec, data: HostArray | number): HostArray {
  const array = typeof data === 'number' ? ARRAYS[spec.dtype].of(data) : data;
  if (array instanceof ARRAYS[spec.dtype] && array.length === sizeOf(spec.shape)) return array;
  throw mismatch(name, spec, `${array.constructor.name} of ${array.length}`);
}

export function mismatch(name: string, spec: TensorSpec, found: string): EngineError {
  return new EngineError({
    code: 'INPUT_INVALID',
    message: `${name}: expected ${spec.dtype} (${spec.shape.join(', ')}), found ${found}.`,
    hint: 'Programs are compiled for one shape: compile another one, or pad the input to this shape.',
  });
}
