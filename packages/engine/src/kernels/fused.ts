/** Our own kernels: the few compositions in which a language model spends its time outside of matrix products. */

import type { Graph, Value } from '../graph/graph.js';
import { sizeOf } from '../graph/graph.js';
import { bytesOf } from '../graph/peak-bytes.js';
import { isDifferentiating } from './differentiating.js';
import { binary, like, unary } from './elementwise.js';
import { productInPieces } from './large-weight.js';
import { blockedProduct, isBlockableProduct } from './linear-blocked.js';
import { chunkedProduct, isChunkedProduct } from './linear-stored.js';
import { matMul } from './matmul.js';
import { columnSum, reduce } from './reduce.js';
import { defineKernel } from './registry.js';
import { concat, slice } from './shape.js';

const mul = (graph: Graph, a: Value, b: Value) => binary(graph, 'Mul', a, b);
const add = (graph: Graph, a: Value, b: Value) => binary(graph, 'Add', a, b);
const sub = (graph: Graph, a: Value, b: Value) => binary(graph, 'Sub', a, b);
const scaled = (graph: Graph, a: Value, factor: number) => mul(graph, a, graph.scalar(factor));

defineKernel('Linear', ['x', 'weight', 'bias'], (graph, [x, weight, bias]) => {
  if (isBlockableProduct(graph, x!, weight!)) return blockedProduct(graph, x!, weight!, bias);
  if (isChunkedProduct(graph, x!, weight!)) return chunkedProduct(graph, x!, weight!, bias);
  const inPieces = productInPieces(graph, x!, weight!, true);
  if (inPieces !== undefined) return add(graph, inPieces, bias!);
  const type = { shape: [x!.shape[0]!, weight!.shape[0]!], dtype: 'float32' } as const;
  return graph.add('Gemm', [x, weight, bias], type, { attributes: { transA: 0, transB: 1 } });
});

// ---------------------------------------------------------------------------------------------- activations

/** Whether a forward pass may take an operator that computes an activation at once: a backward pass shares its parts. */
const isWhole = (graph: Graph): boolean => !isDifferentiating() && !graph.withoutCpuOperators;

const sigmoidOf = (graph: Graph, x: Value, alpha: number): Value =>
  unary(graph, 'Sigmoid', scaled(graph, x, alpha));

defineKernel('Swish', ['x'], (graph, [x], { alpha }) =>
  isWhole(graph)
    ? graph.add('QuickGelu', [x], like(x!), {
        domain: 'com.microsoft',
        attributes: { alpha: { float: alpha } },
      })
    : mul(graph, x!, sigmoidOf(graph, x!, alpha)),
);

/** With y = x·σ: dy/dx = σ + α·y·(1 − σ), σ and y shared with the forward nodes. */
defineKernel('SwishGradient', ['dy', 'x'], (graph, [dy, x], { alpha }) => {
  const sigmoid = sigmoidOf(graph, x!, alpha);
  const y = mul(graph, x!, sigmoid);
  const bent = sub(graph, y, mul(graph, y, sigmoid));
  return mul(graph, dy!, add(graph, sigmoid, scaled(graph, bent, alpha)));
});

/** Φ(x), the standard normal distribution function. */
function normalCdf(graph: Graph, x: Value): Value {
  const erf = unary(graph, 'Erf', scaled(graph, x, Math.SQRT1_2));
  return add(graph, scaled(graph, erf, 0.5), graph.scalar(0.5));
}

defineKernel('Gelu', ['x'], (graph, [x]) =>
  isWhole(graph)
    ? graph.add('Gelu', [x], like(x!), { domain: 'com.microsoft' })
    : mul(graph, x!, normalCdf(graph, x!)),
);
defineKernel('GeluTanh', ['x'], (graph, [x]) =>
  graph.add('Gelu', [x], like(x!), { attributes: { approximate: 'tanh' } }),
);
defineKernel('GeluGradient', ['dy', 'x'], (graph, [dy, x]) => {
  const halfSquare = scaled(graph, mul(graph, x!, x!), -0.5);
  const density = scaled(graph, unary(graph, 'Exp', halfSquare), 1 / Math.sqrt(2 * Math.PI));
  return mul(graph, dy!, add(graph, normalCdf(graph, x!), mul(graph, x!, density)));
});

// ---------------------------------------------------------------------------------------------- normalisation

/** 1 / √(mean(x²) + ε) over the last axis, kept as size 1. */
function inverseRms(graph: Graph, x: Value, epsilon: number): Value {
  const sum = reduce(graph, 'ReduceSumSquare', x, -1, true);
  const mean = scaled(graph, sum, 1 / x.shape.at(-1)!);
  return unary(graph, 'Reciprocal', unary(graph, 'Sqrt', add(graph, mean, graph.scalar(epsilon))));
}

defineKernel('RmsNorm', ['x', 'weight'], (graph, [x, weight], { epsilon }) =>
  mul(graph, mul(graph, x!, inverseRms(graph, x!, epsilon)), weight!),
);

/** dx = r·(g − x̂·mean(g·x̂)), dw = Σ dy·x̂, with g = dy·w, x̂ = x·r. */
defineKernel('RmsNormGradient', ['dy', 'x', 'weight'], (graph, [dy, x, weight], { epsilon }) => {
  const inverse = inverseRms(graph, x!, epsilon);
  const normalised = mul(graph, x!, inverse);
  const perElement = mul(graph, dy!, normalised);
  const mean = meanOfProduct(graph, perElement, weight!);
  const centred = sub(graph, mul(graph, dy!, weight!), mul(graph, normalised, mean));
  return [mul(graph, centred, inverse), columnSum(graph, perElement, false)];
});

/** mean(x · w) over the last axis as a matrix-vector product: no full-size intermediate. */
function meanOfProduct(graph: Graph, x: Value, weight: Value): Value {
  const channels = x.shape.at(-1)!;
  const rows = graph.reshape(x, [sizeOf(x.shape.slice(0, -1)), channels]);
  const column = graph.reshape(weight, [channels, 1]);
  const dots = matMul(graph, rows, column, { alpha: 1 / channels });
  return graph.reshape(dots, [...x.shape.slice(0, -1), 1]);
}

defineKernel('LayerNorm', ['x', 'weight', 'bias'], (graph, inputs, { epsilon }) =>
  graph.add('LayerNormalization', inputs, like(inputs[0]!), {
    attributes: { axis: -1, epsilon: { float: epsilon } },
  }),
);

/** dx = r·(g − mean(g) − x̂·mean(g·x̂)), dw = Σ dy·x̂, db = Σ dy. */
defineKernel('LayerNormGradient', ['dy', 'x', 'weight'], (graph, [dy, x, weight], { epsilon }) => {
  const centred = sub(graph, x!, reduce(graph, 'ReduceMean', x!, -1, true));
  const inverse = inverseRms(graph, centred, epsilon);
  const normalised = mul(graph, centred, inverse);
  const perElement = mul(graph, dy!, normalised);
  const g = mul(graph, dy!, weight!);
  const along = mul(graph, normalised, meanOfProduct(graph, perElement, weight!));
  const rest = sub(graph, sub(graph, g, reduce(graph, 'ReduceMean', g, -1, true)), along);
  return [
    mul(graph, rest, inverse),
    columnSum(graph, perElement, false),
    columnSum(graph, dy!, false),
  ];
});

// ---------------------------------------------------------------------------------------------- rotary

defineKernel('Rotary', ['x', 'cos', 'sin'], (graph, [x, cos, sin]) => {
  const [rows, half] = cos!.shape as [number, number];
  const heads = sizeOf(x!.shape.slice(0, -2));
  const positions = graph.constant(
    BigInt64Array.from({ length: rows }, (_, i) => BigInt(i)),
    [1, rows],
    'int64',
  );
  const image = graph.reshape(x!, [1, heads, rows, 2 * half]);
  const rotated = graph.add('RotaryEmbedding', [image, positions, cos, sin], like(image), {
    domain: 'com.microsoft',
  });
  return graph.reshape(rotated, x!.shape);
});

// ---------------------------------------------------------------------------------------------- cross-entropy

const column = (graph: Graph, x: Value) => graph.reshape(x, [x.shape[0]!, 1]);
const alongRows = { attributes: { axis: 1 } };

/** Most pieces that the rows of a log-softmax are taken in, and the bytes from which on a piece more is worth its nodes. */
const PIECES = 8;
const PIECE_BYTES = 2 ** 20;

/** Rows of each piece. The last may be shorter. */
function rowsOfPiece(x: Value): number {
  const pieces = Math.min(PIECES, Math.max(1, Math.floor(bytesOf(x) / PIECE_BYTES)));
  return Math.max(1, Math.ceil(x.shape[0]! / pieces));
}

/** log softmax(logits)[target] of each row, (n, 1), piece by piece: no second matrix of their size is held. */
function pickedLogSoftmax(graph: Graph, logits: Value, index: Value): Value {
  const [rows, classes] = logits.shape as [number, number];
  const step = rowsOfPiece(logits);
  const pieces = Array.from({ length: Math.max(1, Math.ceil(rows / step)) }, (_, i) => {
    const count = Math.min(step, rows - i * step);
    const part = slice(graph, logits, [i * step, 0], [count, classes]);
    const places = slice(graph, index, [i * step, 0], [count, 1]);
    const logs = graph.add('LogSoftmax', [part], like(part), alongRows);
    const type = { shape: [count, 1], dtype: 'float32' } as const;
    return graph.add('GatherElements', [logs, places], type, alongRows);
  });
  return concat(graph, pieces, 0);
}

/** Logits less the largest of each row, so that no power overflows, their powers, and the sums of those, (n, 1). */
function rowPowers(graph: Graph, logits: Value) {
  const shifted = sub(graph, logits, reduce(graph, 'ReduceMax', logits, 1, true));
  const powers = unary(graph, 'Exp', shifted);
  return { shifted, powers, sums: reduce(graph, 'ReduceSum', powers, 1, true) };
}

/** The same as {@link pickedLogSoftmax} from sums that the backward pass needs as well. */
function pickedFromSums(graph: Graph, logits: Value, index: Value): Value {
  const { shifted, sums } = rowPowers(graph, logits);
  const logs = unary(graph, 'Log', sums);
  // Added behind the sums, so that it runs before them and nothing is kept for it.
  const picked = graph.add('GatherElements', [shifted, index], like(sums), alongRows);
  return sub(graph, picked, logs);
}

defineKernel('CrossEntropySum', ['logits', 'targets', 'weights'], (graph, inputs) => {
  const [logits, targets, weights] = inputs as [Value, Value, Value];
  // On a GPU a pass over the logits costs little, and its arena, which follows no plan, grew once more at the second step.
  const shares = isDifferentiating() && !graph.withoutCpuOperators;
  const pick = shares ? pickedFromSums : pickedLogSoftmax;
  const picked = pick(graph, logits, column(graph, targets));
  const weighted = mul(graph, picked, column(graph, weights));
  return unary(graph, 'Neg', reduce(graph, 'ReduceSum', weighted, undefined));
});

/**
 * w·(softmax − one-hot), by one subtraction per row instead of a one-hot matrix. Of the operations on the matrix each one reads what only
 * the one before has made, so that two of them are held at once.
 */
defineKernel('CrossEntropyGradient', ['logits', 'targets', 'weights'], (graph, inputs) => {
  const [logits, targets, weights] = inputs as [Value, Value, Value];
  const factor = column(graph, weights);
  const { powers, sums } = rowPowers(graph, logits);
  const dense = mul(graph, powers, binary(graph, 'Div', factor, sums));
  const options = { attributes: { axis: 1, reduction: 'add' } };
  const parts = [dense, column(graph, targets), unary(graph, 'Neg', factor)];
  return graph.add('ScatterElements', parts, like(logits), options);
});
