import { type Graph, sizeOf, type Value } from '../graph/graph.js';
import { tf } from '../tfjs.js';
import { binary } from './elementwise.js';
import { productInPieces } from './large-weight.js';
import { blockedProduct, isBlockableProduct } from './linear-blocked.js';
import { chunkedProduct, isChunkedProduct } from './linear-stored.js';
import { defineKernel } from './registry.js';

export interface MatMulOptions {
  readonly transposeA?: boolean;
  readonly transposeB?: boolean;
  /** Factor on the product. */
  readonly alpha?: number;
}

/** Elements of a result from which a transposed left factor is transposed by a node of its own. */
const LARGE_RESULT = 2 ** 19;

/** a · b over the last two axes, with broadcasting batch axes. */
export function matMul(graph: Graph, a: Value, b: Value, options: MatMulOptions = {}): Value {
  const { transposeA = false, transposeB = false, alpha = 1 } = options;
  const rows = a.shape.at(transposeA ? -1 : -2)!;
  const columns = b.shape.at(transposeB ? -2 : -1)!;
  const batchA = a.shape.slice(0, -2);
  const batchB = b.shape.slice(0, -2);
  const batch = tf.broadcast_util.assertAndGetBroadcastShape(batchA, batchB);
  const type = { shape: [...batch, rows, columns], dtype: 'float32' as const };
  if (sizeOf(batchA) === 1 && sizeOf(batchB) === 1) {
    const [left, right] = [a, b].map((x) => graph.reshape(x, x.shape.slice(-2))) as [Value, Value];
    const isPlain = !transposeA && alpha === 1;
    const inPieces = isPlain ? productInPieces(graph, left, right, transposeB) : undefined;
    if (inPieces !== undefined) return graph.reshape(inPieces, type.shape);
    // ONNX Runtime's product re-transposes its left side for every few columns; for large results one explicit
    // transposition is 20–30 % faster.
    const apart = transposeA && rows * columns >= LARGE_RESULT;
    const matrices = [apart ? graph.transpose(left, [1, 0]) : left, right];
    const flat = { shape: [rows, columns], dtype: 'float32' as const };
    const attributes = {
      transA: transposeA && !apart ? 1 : 0,
      transB: transposeB ? 1 : 0,
      ...(alpha === 1 ? {} : { alpha: { float: alpha } }),
    };
    return graph.reshape(graph.add('Gemm', matrices, flat, { attributes }), type.shape);
  }
  if (!transposeA && !transposeB && alpha === 1) return graph.add('MatMul', [a, b], type);
  if (graph.withoutCpuOperators) {
    const scaled = alpha !== 1 && sizeOf(a.shape) <= sizeOf(type.shape);
    // Queries are smaller than their scores, which in float16 could be too large before they are scaled.
    const left = scaled ? binary(graph, 'Mul', a, graph.scalar(alpha)) : a;
    const factors = [flip(graph, left, transposeA), flip(graph, b, transposeB)];
    const product = graph.add('MatMul', factors, type);
    return alpha === 1 || scaled ? product : binary(graph, 'Mul', product, graph.scalar(alpha));
  }
  const attributes = {
    transA: transposeA ? 1 : 0,
    transB: transposeB ? 1 : 0,
    alpha: { float: alpha },
  };
  return graph.add('FusedMatMul', [a, b], type, { domain: 'com.microsoft', attributes });
}

/** Swaps the last two axes when asked. */
function flip(graph: Graph, x: Value, transpose: boolean): Value {
  if (!transpose) return x;
  const axes = x.shape.map((_, i) => i);
  return graph.transpose(x, [...axes.slice(0, -2), axes.at(-1)!, axes.at(-2)!]);
}

defineKernel('BatchMatMul', ['a', 'b'], (graph, [a, b], { transposeA, transposeB }) => {
  const isLinear = transposeB && !transposeA && sizeOf(a!.shape.slice(0, -2)) === 1;
  if (isLinear && sizeOf(b!.shape.slice(0, -2)) === 1) {
    const [x, weight] = [a!, b!].map((value) => graph.reshape(value, value.shape.slice(-2)));
    const rows = rearrangedProduct(graph, x!, weight!);
    if (rows !== undefined) {
      const batch = tf.broadcast_util.assertAndGetBroadcastShape(
        a!.shape.slice(0, -2),
        b!.shape.slice(0, -2),
      );
      return graph.reshape(rows, [...batch, ...rows.shape]);
    }
  }
  return matMul(graph, a!, b!, { transposeA, transposeB });
});

/** x·Wᵀ in the blocked layout or by chunks of W, where either pays. */
function rearrangedProduct(graph: Graph, x: Value, weight: Value): Value | undefined {
  if (isBlockableProduct(graph, x, weight)) return blockedProduct(graph, x, weight, undefined);
  if (isChunkedProduct(graph, x, weight)) return chunkedProduct(graph, x, weight, undefined);
  return undefined;
}
