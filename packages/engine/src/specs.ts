import type { Tensor } from './tfjs.js';

/** A nested record, the shape of every program input and output. Leaves are addressed as `group/name`. */
export type Tree<Leaf> = Leaf | { readonly [name: string]: Tree<Leaf> };

export type DType = 'float32' | 'int32' | 'bool';

/** Shape and type of a value that is given at each run. Shapes are static: one compiled program per shape. */
export interface TensorSpec {
  readonly shape: readonly number[];
  readonly dtype: DType;
}

/**
 * A frozen weight that stays in its safetensors file: it becomes external data of the graph, is memory-mapped by the
 * executor and cast to float32 inside the graph. It is never copied to the JavaScript heap.
 */
export interface MappedTensor {
  readonly kind: 'mapped';
  readonly shape: readonly number[];
  /** Element type in the file. */
  readonly storedAs: 'F32' | 'F16' | 'BF16';
  /** Real path of the file (symbolic links resolved). */
  readonly file: string;
  readonly byteOffset: number;
  readonly byteLength: number;
}

export type SpecTree = Tree<TensorSpec | MappedTensor>;

/** An ordinary function over tfjs tensors. It is traced once; it must not read tensor values. */
export type Program = (inputs: never) => Tree<Tensor>;

export type HostArray = Float32Array | Int32Array | Uint8Array;

export const float32 = (...shape: number[]): TensorSpec => ({ shape, dtype: 'float32' });
export const int32 = (...shape: number[]): TensorSpec => ({ shape, dtype: 'int32' });
