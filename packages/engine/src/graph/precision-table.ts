import type { Precision } from '../specs.js';
import type { Graph, Node, Value } from './graph.js';

/** Types of 16 bits in which products are computed. */
export type NarrowType = Exclude<Precision, 'float32'>;

/**
 * Operators that a program in 16 bits computes in them, with the number of leading inputs that take part: factors, and what is
 * added to the product. Their sums are kept in float32 by every device, and the result is rounded once. These are the
 * operators of PyTorch's autocast list for 16 bits.
 */
export const PRODUCTS: Readonly<Record<string, number>> = {
  Gemm: 3,
  MatMul: 2,
  FusedMatMul: 2,
  Conv: 3,
  Attention: 3,
  GroupQueryAttention: 3,
  // With a mask, its sixth input, which has to be of the same type.
  MultiHeadAttention: 6,
};

/**
 * Operators that pick or move elements, or change their signs: rounding before them is rounding after them, so they take
 * and give 16 bits between products. Named is the number of inputs that hold elements; `all` of a list.
 */
export const MOVES: Readonly<Record<string, number | 'all'>> = {
  Abs: 1,
  Concat: 'all',
  Expand: 1,
  Gather: 1,
  GatherElements: 1,
  GatherND: 1,
  Neg: 1,
  Relu: 1,
  Reshape: 1,
  Slice: 1,
  Split: 1,
  Tile: 1,
  Transpose: 1,
};

/** Operators that a graph with a convolution in bfloat16, which is of ONNX 22, would run on the CPU. */
const NOT_ON_CUDA_IN_22: ReadonlySet<string> = new Set(['MaxPool', 'Elu']);

interface Exception {
  /** What stays float32, for documents. */
  readonly what: string;
  readonly why: string;
  readonly holds: (node: Node, type: NarrowType, graph: Graph) => boolean;
}

const isPartOf =
  (...operations: readonly string[]) =>
  ({ operation }: Node): boolean =>
    operation !== undefined && operations.includes(operation);

const isConstant = (value: Value | undefined): boolean => value?.constant !== undefined;

/**
 * Products that stay float32 in a program of 16 bits. What is no product (norms, softmax, rotary positions, the residual
 * stream, losses, sums, scattering, updates) is float32 without being named.
 */
const EXCEPTIONS: readonly Exception[] = [
  {
    what: 'what a program computes inside of `ops.inFloat32`, backward too: cameras of VGGT and Depth Anything 3, the 3D heads of a training',
    why: 'poses come out of few products, and their errors move every point of a view; normals are differences of neighbouring pixels; the originals do the same',
    holds: ({ isExact }) => isExact === true,
  },
  {
    what: 'sums in the gradients of RMSNorm and LayerNorm',
    why: 'they are means over channels, written as products for speed; norms are float32',
    holds: isPartOf('RmsNormGradient', 'LayerNormGradient'),
  },
  {
    what: 'products with a constant of the program: interpolation of maps, sums over rows',
    why: 'they interpolate or add up what is float32; a sum that is a product on one device is none on another',
    holds: ({ inputs: [a, b] }) => isConstant(a) || isConstant(b),
  },
  {
    what: 'convolutions in bfloat16 beside max-pooling or ELU',
    why: 'ONNX has bfloat16 convolutions from operator set 22, where CUDA has no kernel for those two',
    holds: ({ operator }, type, graph) =>
      operator === 'Conv' &&
      type === 'bfloat16' &&
      graph.nodes.some((node) => NOT_ON_CUDA_IN_22.has(node.operator)),
  },
];

/** Number of leading inputs of a node that are taken in 16 bits, and its result given so; 0 for one that stays float32. */
export function narrowInputs(node: Node, type: NarrowType, graph: Graph): number {
  const count = PRODUCTS[node.operator];
  if (count === undefined || node.outputs.some(({ dtype }) => dtype !== 'float32')) return 0;
  return EXCEPTIONS.some(({ holds }) => holds(node, type, graph)) ? 0 : count;
}

/** The inputs of a node whose elements it moves; undefined for a node that does something else, or moves no float32. */
export function movedInputs(node: Node): readonly Value[] | undefined {
  const count = MOVES[node.operator];
  if (count === undefined || node.outputs[0]!.dtype !== 'float32') return undefined;
  return (count === 'all' ? node.inputs : node.inputs.slice(0, count)) as readonly Value[];
}
