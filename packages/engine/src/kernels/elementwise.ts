import { type Graph, sameShape, type Value } from '../graph/graph.js';
import { tf } from '../tfjs.js';
import { defineKernel } from './registry.js';

/** tfjs kernels that are one ONNX operator of the same meaning. */
const SAME_UNARY: Readonly<Record<string, string>> = {
  Abs: 'Abs',
  Acos: 'Acos',
  Acosh: 'Acosh',
  Asin: 'Asin',
  Asinh: 'Asinh',
  Atan: 'Atan',
  Atanh: 'Atanh',
  Ceil: 'Ceil',
  Cos: 'Cos',
  Cosh: 'Cosh',
  Elu: 'Elu',
  Erf: 'Erf',
  Exp: 'Exp',
  Floor: 'Floor',
  Log: 'Log',
  Neg: 'Neg',
  Reciprocal: 'Reciprocal',
  Relu: 'Relu',
  Round: 'Round',
  Sigmoid: 'Sigmoid',
  Sign: 'Sign',
  Sin: 'Sin',
  Sinh: 'Sinh',
  Softplus: 'Softplus',
  Sqrt: 'Sqrt',
  Tan: 'Tan',
  Tanh: 'Tanh',
};

const SAME_BINARY: Readonly<Record<string, string>> = {
  Add: 'Add',
  Sub: 'Sub',
  Multiply: 'Mul',
  RealDiv: 'Div',
  Maximum: 'Max',
  Minimum: 'Min',
};

const COMPARISONS: Readonly<Record<string, string>> = {
  Equal: 'Equal',
  Greater: 'Greater',
  GreaterEqual: 'GreaterOrEqual',
  Less: 'Less',
  LessEqual: 'LessOrEqual',
};

export const like = (x: Value) => ({ shape: x.shape, dtype: x.dtype });

export const unary = (graph: Graph, operator: string, x: Value): Value =>
  graph.add(operator, [x], like(x));

export function binary(graph: Graph, operator: string, a: Value, b: Value): Value {
  const type = broadcastType(a, b);
  const inputs = [shrink(graph, a, b), shrink(graph, b, a)];
  return neutral(graph, operator, a, b) ?? graph.add(operator, inputs, type);
}

/** A filled tensor beside one of the full shape needs only its scalar. */
function shrink(graph: Graph, value: Value, other: Value): Value {
  const broadcasts = value.uniform !== undefined && value.dtype === 'float32';
  return broadcasts && other.uniform === undefined && value.shape.length <= other.shape.length
    ? value.shape.every((n, i, all) => n <= other.shape[other.shape.length - all.length + i]!)
      ? graph.scalar(value.uniform!)
      : value
    : value;
}

/** Skips x·1, x+0, x−0 and x/1, of which tfjs' gradients are full, and lets x·ones broadcast without a product. */
function neutral(graph: Graph, operator: string, a: Value, b: Value): Value | undefined {
  const { shape } = broadcastType(a, b);
  const isNeutral = (value: Value, element: number) => value.uniform === element;
  const commutes = operator === 'Mul' || operator === 'Add';
  const element = operator === 'Mul' || operator === 'Div' ? 1 : 0;
  if (!commutes && operator !== 'Sub' && operator !== 'Div') return undefined;
  if (isNeutral(b, element)) return graph.expand(a, shape);
  if (commutes && isNeutral(a, element)) return graph.expand(b, shape);
  return undefined;
}

function broadcastType(a: Value, b: Value) {
  return {
    shape: tf.broadcast_util.assertAndGetBroadcastShape([...a.shape], [...b.shape]),
    dtype: a.dtype,
  };
}

const squared = (graph: Graph, x: Value): Value => binary(graph, 'Mul', x, x);

export function full(graph: Graph, value: number, shape: readonly number[], dtype: string): Value {
  const scalar =
    dtype === 'float32'
      ? graph.scalar(value)
      : dtype === 'bool'
        ? graph.constant(Uint8Array.of(value), [], 'bool')
        : graph.constant(Int32Array.of(value), [], 'int32');
  if (shape.length === 0) return scalar;
  const filled = graph.expand(scalar, shape);
  filled.uniform = value;
  return filled;
}

for (const [kernel, operator] of Object.entries(SAME_UNARY)) {
  defineKernel(kernel, ['x'], (graph, [x]) => unary(graph, operator, x!));
}
for (const [kernel, operator] of Object.entries(SAME_BINARY)) {
  defineKernel(kernel, ['a', 'b'], (graph, [a, b]) => binary(graph, operator, a!, b!));
}
for (const [kernel, operator] of Object.entries(COMPARISONS)) {
  defineKernel(kernel, ['a', 'b'], (graph, [a, b]) => compare(graph, operator, a!, b!));
}

function compare(graph: Graph, operator: string, a: Value, b: Value): Value {
  // ONNX compares booleans only with Equal; 32-bit integers serve for both.
  const [x, y] = a.dtype === 'bool' ? [graph.cast(a, 'int32'), graph.cast(b, 'int32')] : [a, b];
  return graph.add(operator, [x, y], { shape: broadcastType(a, b).shape, dtype: 'bool' });
}

defineKernel('NotEqual', ['a', 'b'], (graph, [a, b]) =>
  unary(graph, 'Not', compare(graph, 'Equal', a!, b!)),
);
defineKernel('LogicalNot', ['x'], (graph, [x]) => unary(graph, 'Not', x!));
defineKernel('LogicalAnd', ['a', 'b'], (graph, [a, b]) =>
  graph.add('And', [a, b], broadcastType(a!, b!)),
);
defineKernel('LogicalOr', ['a', 'b'], (graph, [a, b]) =>
  graph.add('Or', [a, b], broadcastType(a!, b!)),
);
defineKernel('IsNan', ['x'], (graph, [x]) =>
  graph.add('IsNaN', [x], { shape: x!.shape, dtype: 'bool' }),
);
defineKernel('IsInf', ['x'], (graph, [x]) =>
  graph.add('IsInf', [x], { shape: x!.shape, dtype: 'bool' }),
);
defineKernel('IsFinite', ['x'], (graph, [x]) => {
  const type = { shape: x!.shape, dtype: 'bool' } as const;
  const either = graph.add(
    'Or',
    [graph.add('IsNaN', [x], type), graph.add('IsInf', [x], type)],
    type,
  );
  return unary(graph, 'Not', either);
});

defineKernel('Square', ['x'], (graph, [x]) => squared(graph, x!));
defineKernel('SquaredDifference', ['a', 'b'], (graph, [a, b]) =>
  squared(graph, binary(graph, 'Sub', a!, b!)),
);
defineKernel('Rsqrt', ['x'], (graph, [x]) => unary(graph, 'Reciprocal', unary(graph, 'Sqrt', x!)));
/** e^x − 1 = (u − 1)·x / log u with the rounded u = e^x, whose error cancels (W. Kahan); far from 0 just u − 1. */
defineKernel('Expm1', ['x'], (graph, [x]) => {
  const u = unary(graph, 'Exp', x!);
  const less = binary(graph, 'Sub', u, graph.scalar(1));
  const near = binary(graph, 'Div', binary(graph, 'Mul', less, x!), unary(graph, 'Log', u));
  const small = binary(graph, 'Mul', unary(graph, 'Sign', less), less); // |u − 1|
  const isFar = compare(graph, 'GreaterOrEqual', small, graph.scalar(0.5));
  const isZero = compare(graph, 'Equal', less, graph.scalar(0));
  return choose(graph, isFar, less, choose(graph, isZero, x!, near));
});
/** log(1 + x) = log(u)·x / (u − 1) with the rounded u = 1 + x, whose error cancels (W. Kahan); far from 0 just log u. */
defineKernel('Log1p', ['x'], (graph, [x]) => {
  const u = binary(graph, 'Add', x!, graph.scalar(1));
  const log = unary(graph, 'Log', u);
  const less = binary(graph, 'Sub', u, graph.scalar(1));
  const near = binary(graph, 'Div', binary(graph, 'Mul', log, x!), less);
  const isExact = compare(graph, 'Equal', less, x!);
  const isZero = compare(graph, 'Equal', less, graph.scalar(0));
  return choose(graph, isZero, x!, choose(graph, isExact, log, near));
});
defineKernel('Pow', ['a', 'b'], (graph, [a, b]) => {
  const { shape } = broadcastType(a!, b!);
  if (b!.uniform === 2) return graph.expand(squared(graph, a!), shape);
  if (b!.uniform === 0.5) return graph.expand(unary(graph, 'Sqrt', a!), shape);
  return binary(graph, 'Pow', a!, b!);
});
defineKernel('FloorDiv', ['a', 'b'], (graph, [a, b]) => {
  if (a!.dtype === 'int32')
    return integers(graph, a!, b!, (x, y, rest) => {
      const whole = graph.add('Sub', [x, rest], like(rest));
      return graph.add('Div', [whole, y], like(rest));
    });
  return unary(graph, 'Floor', binary(graph, 'Div', a!, b!));
});
defineKernel('Mod', ['a', 'b'], (graph, [a, b]) => {
  if (a!.dtype === 'int32') return integers(graph, a!, b!, (_x, _y, rest) => rest);
  // tfjs' Mod takes the sign of the divisor, ONNX' fmod that of the dividend: x − floor(x / y)·y is the former.
  const floored = unary(graph, 'Floor', binary(graph, 'Div', a!, b!));
  return binary(graph, 'Sub', a!, binary(graph, 'Mul', floored, b!));
});

/**
 * Of two int32 tensors, in 64 bits, where nothing overflows. The library ends the process on a division by zero, tfjs gives 0.
 * @param compute from x, y and x mod y, which has the sign of y.
 */
function integers(
  graph: Graph,
  a: Value,
  b: Value,
  compute: (x: Value, y: Value, rest: Value) => Value,
): Value {
  const type = { shape: broadcastType(a, b).shape, dtype: 'int64' } as const;
  const [x, y] = [graph.cast(a, 'int64'), graph.cast(b, 'int64')];
  const [zero, one] = [graph.int64([0]), graph.int64([1])];
  const isZero = graph.add('Equal', [y, zero], { shape: y.shape, dtype: 'bool' });
  const divisor = graph.add('Where', [isZero, one, y], like(y));
  const rest = graph.add('Mod', [x, divisor], type);
  const result = compute(x, divisor, rest);
  return graph.cast(graph.add('Where', [isZero, zero, result], type), 'int32');
}

const choose = (graph: Graph, condition: Value, a: Value, b: Value): Value =>
  graph.add('Where', [condition, a, b], like(a));

defineKernel('AddN', '*', (graph, inputs) =>
  inputs.reduce((sum, x) => binary(graph, 'Add', sum, x)),
);
defineKernel('Relu6', ['x'], (graph, [x]) => clip(graph, x!, 0, 6));
defineKernel('ClipByValue', ['x'], (graph, [x], { clipValueMin, clipValueMax }) =>
  clip(graph, x!, clipValueMin, clipValueMax),
);
defineKernel('LeakyRelu', ['x'], (graph, [x], { alpha }) =>
  graph.add('LeakyRelu', [x], like(x!), { attributes: { alpha: { float: alpha } } }),
);
defineKernel('Prelu', ['x', 'alpha'], (graph, [x, alpha]) =>
  graph.add('PRelu', [x, alpha], like(x!)),
);
defineKernel('EluGrad', ['dy', 'y'], (graph, [dy, y]) => {
  const positive = compare(graph, 'GreaterOrEqual', y!, graph.scalar(0));
  const negative = binary(graph, 'Mul', dy!, binary(graph, 'Add', y!, graph.scalar(1)));
  return graph.add('Where', [positive, dy, negative], like(dy!));
});
defineKernel('Step', ['x'], (graph, [x], { alpha }) => {
  const positive = compare(graph, 'Greater', x!, graph.scalar(0));
  if (alpha === 0) return graph.cast(positive, 'float32');
  return graph.add('Where', [positive, graph.scalar(1), graph.scalar(alpha)], like(x!));
});

function clip(graph: Graph, x: Value, low: number, high: number): Value {
  return graph.add('Clip', [x, graph.scalar(low), graph.scalar(high)], like(x));
}

defineKernel('Identity', ['x'], (_graph, [x]) => x!);
defineKernel('Cast', ['x'], (graph, [x], { dtype }) => castLikeTfjs(graph, x!, dtype));
defineKernel('ZerosLike', ['x'], (graph, [x]) => full(graph, 0, x!.shape, x!.dtype));
defineKernel('OnesLike', ['x'], (graph, [x]) => full(graph, 1, x!.shape, x!.dtype));
defineKernel('Fill', [], (graph, _inputs, { shape, value, dtype }) =>
  full(graph, value, shape, dtype ?? 'float32'),
);
defineKernel('Select', ['condition', 't', 'e'], (graph, [condition, t, e]) => {
  // tfjs lets a rank-1 condition choose whole rows.
  const extra = t!.shape.length - condition!.shape.length;
  const mask =
    condition!.shape.length === 1 && extra > 0
      ? graph.reshape(condition!, [...condition!.shape, ...Array<number>(extra).fill(1)])
      : condition!;
  const { shape } = broadcastType(t!, e!);
  return graph.add('Where', [mask, t, e], {
    shape: sameShape(shape, t!.shape) ? t!.shape : shape,
    dtype: t!.dtype,
  });
});

function castLikeTfjs(graph: Graph, x: Value, dtype: 'float32' | 'int32' | 'bool'): Value {
  if (dtype === 'bool') return unary(graph, 'Not', compare(graph, 'Equal', x, zeroLike(graph, x)));
  if (x.uniform !== undefined && x.constant !== undefined) {
    return full(graph, dtype === 'int32' ? Math.trunc(x.uniform) : x.uniform, x.shape, dtype);
  }
  return graph.cast(x, dtype);
}

const zeroLike = (graph: Graph, x: Value): Value =>
  x.dtype === 'float32' ? graph.scalar(0) : graph.constant(Int32Array.of(0), [], 'int32');
