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
 * Of the products and the attention of a program: `float32`, or 16 bits with sums in float32. Everything else stays float32.
 */
export const PRECISIONS = ['float32', 'bfloat16', 'float16'] as const;
export type Precision = (typeof PRECISIONS)[number];

/** Element types in which weights lie in safetensors files. */
export type StoredType = 'F32' | 'F16' | 'BF16';

/**
 * A frozen weight in a safetensors file. As a leaf of the specs of a program it is an input that the program binds
 * itself: the file is mapped once per process, in its own element type, and cast to float32 inside the graph. It is never
 * copied to the JavaScript heap.
 */
export interface MappedTensor {
  readonly kind: 'mapped';
  readonly shape: readonly number[];
  /** Element type in the file. */
  readonly storedAs: StoredType;
  /** Real path of the file (symbolic links resolved). */
  readonly file: string;
  readonly byteOffset: number;
  readonly byteLength: number;
  /** Binds a float32 copy, one for all programs of this process, instead of the bytes of the file. */
  readonly readAs?: 'F32';
}

/**
 * A frozen weight whose value is given at each run: a {@link MappedTensor} of this shape and type, or for `F32` a float32
 * tensor of the device. One program then serves all layers of equal shape.
 */
export interface WeightSpec {
  readonly kind: 'weight';
  readonly shape: readonly number[];
  /** Element type in which it is bound. */
  readonly storedAs: StoredType;
}

export type SpecTree = Tree<TensorSpec | MappedTensor | WeightSpec>;

/** The tensors that a program is given for its specs. */
export type TensorsOf<Specs> = Specs extends { readonly shape: readonly number[] }
  ? Tensor
  : { readonly [Name in keyof Specs]: TensorsOf<Specs[Name]> };

/** An ordinary function over tfjs tensors. It is traced once; it must not read tensor values. */
export type Program = (inputs: never) => Tree<Tensor>;

export type HostArray = Float32Array | Int32Array | Uint8Array;

/** Elements of a tensor of this shape, 1 for a scalar. */
export const sizeOf = (shape: readonly number[]): number => shape.reduce((size, n) => size * n, 1);

/** What a program takes or gives: float32 of these sizes, a scalar without any. */
export const float32 = (...shape: number[]): TensorSpec => ({ shape, dtype: 'float32' });
/** The same of int32. */
export const int32 = (...shape: number[]): TensorSpec => ({ shape, dtype: 'int32' });

/** The place that a weight takes in a program whose weights are given at each run. */
export const weightSpec = ({
  shape,
  storedAs,
  readAs,
}: Pick<MappedTensor, 'shape' | 'storedAs' | 'readAs'>): WeightSpec => ({
  kind: 'weight',
  shape,
  storedAs: readAs ?? storedAs,
});

export const isMapped = (node: unknown): node is MappedTensor =>
  (node as Partial<MappedTensor> | null | undefined)?.kind === 'mapped';
