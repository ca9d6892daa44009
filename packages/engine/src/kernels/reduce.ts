import type { Graph, Value } from '../graph/graph.js';
import { tf } from '../tfjs.js';

import { defineKernel } from './registry.js';

interface ReduceAttributes {
  readonly axis?: number | number[];
  /** What tfjs calls `axis` in Max. */
  readonly reductionIndices?: number | number[];
  readonly keepDims?: boolean;
}

/** Reduces over `axis` (all axes when absent). */
export function reduce(
  graph: Graph,
  operator: string,
  x: Value,
  axis: number | readonly number[] | undefined,
  keepDims = false,
): Value {
  const axes = tf.util.parseAxisParam(axis as number[], [...x.shape]);
  if (axes.length === 0) return x;
  const kept = x.shape.map((n, i) => (axes.includes(i) ? 1 : n));
  const shape = keepDims ? kept : x.shape.filter((_, i) => !axes.includes(i));
  if (axes.every((i) => x.shape[i] === 1)) return graph.reshape(x, shape);
  const attributes = { keepdims: keepDims ? 1 : 0 };
  return graph.add(operator, [x, graph.int64(axes)], { shape, dtype: x.dtype }, { attributes });
}

for (const operator of ['Sum', 'Mean', 'Max', 'Min', 'Prod']) {
  defineKernel(operator, ['x'], (graph, [x], attributes: ReduceAttributes) => {
    const numeric = x!.dtype === 'bool' ? graph.cast(x!, 'int32') : x!;
    const axis = attributes.axis ?? attributes.reductionIndices;
    return reduce(graph, `Reduce${operator}`, numeric, axis, attributes.keepDims);
  });
}

defineKernel('All', ['x'], (graph, [x], { axis, keepDims }: ReduceAttributes) =>
  graph.cast(reduce(graph, 'ReduceMin', graph.cast(x!, 'int32'), axis, keepDims), 'bool'),
);
defineKernel('Any', ['x'], (graph, [x], { axis, keepDims }: ReduceAttributes) =>
  graph.cast(reduce(graph, 'ReduceMax', graph.cast(x!, 'int32'), axis, keepDims), 'bool'),
);

for (const [kernel, operator] of [
  ['ArgMax', 'ArgMax'],
  ['ArgMin', 'ArgMin'],
] as const) {
  defineKernel(kernel, ['x'], (graph, [x], { axis }: { axis: number }) => {
    const [index] = tf.util.parseAxisParam(axis, [...x!.shape]) as [number];
    const shape = x!.shape.filter((_, i) => i !== index);
    const type = { shape, dtype: 'int64' } as const;
    const attributes = { axis: index, keepdims: 0 };
    return graph.cast(graph.add(operator, [x], type, { attributes }), 'int32');
  });
}

defineKernel('Cumsum', ['x'], (graph, [x], { axis, exclusive, reverse }) => {
  const [index] = tf.util.parseAxisParam(axis, [...x!.shape]) as [number];
  const attributes = { exclusive: exclusive ? 1 : 0, reverse: reverse ? 1 : 0 };
  const axisValue = graph.constant(BigInt64Array.of(BigInt(index)), [], 'int64');
  return graph.add('CumSum', [x, axisValue], { shape: x!.shape, dtype: x!.dtype }, { attributes });
});

export function softmaxAlong(graph: Graph, operator: string, x: Value, axis: number): Value {
  return graph.add(operator, [x], { shape: x.shape, dtype: x.dtype }, { attributes: { axis } });
}

defineKernel('Softmax', ['logits'], (graph, [x], { dim }) =>
  softmaxAlong(graph, 'Softmax', x!, dim === -1 ? x!.shape.length - 1 : dim),
);
defineKernel('LogSoftmax', ['logits'], (graph, [x], { axis }) =>
  softmaxAlong(graph, 'LogSoftmax', x!, axis === -1 ? x!.shape.length - 1 : axis),
);
