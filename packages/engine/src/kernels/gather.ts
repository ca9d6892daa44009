import { type Graph, sizeOf, type Value } from '../graph/graph.js';
import { tf } from '../tfjs.js';
import { binary, full } from './elementwise.js';
import { gatherInPieces } from './large-weight.js';
import { defineKernel } from './registry.js';

defineKernel('GatherV2', ['x', 'indices'], (graph, [x, indices], { axis, batchDims }) => {
  if (batchDims !== 0)
    throw new Error('GatherV2: batchDims other than 0 is not supported; reshape instead.');
  const [at] = tf.util.parseAxisParam(axis, [...x!.shape]) as [number];
  const shape = [...x!.shape.slice(0, at), ...indices!.shape, ...x!.shape.slice(at + 1)];
  const whole = graph.cast(indices!, 'int32');
  const pieces = at === 0 ? gatherInPieces(graph, x!, whole) : undefined;
  if (pieces !== undefined) return pieces;
  // Of a stored table only the rows that are read become float32.
  const table = graph.storedWeight(x!) ?? x!;
  const attributes = { axis: at };
  const type = { shape, dtype: table.dtype };
  return graph.cast(graph.add('Gather', [table, whole], type, { attributes }), x!.dtype);
});

defineKernel('GatherNd', ['params', 'indices'], (graph, [params, indices]) => {
  const depth = indices!.shape.at(-1)!;
  const shape = [...indices!.shape.slice(0, -1), ...params!.shape.slice(depth)];
  const type = { shape, dtype: params!.dtype };
  return graph.add('GatherND', [params, graph.cast(indices!, 'int64')], type);
});

/** target with `updates` added (or written) at `indices` (…, depth). */
function scatterNd(
  graph: Graph,
  target: Value,
  indices: Value,
  updates: Value,
  reduction: 'add' | 'none',
): Value {
  const type = { shape: target.shape, dtype: target.dtype };
  const attributes = { reduction };
  return graph.add('ScatterND', [target, graph.cast(indices, 'int64'), updates], type, {
    attributes,
  });
}

defineKernel('ScatterNd', ['indices', 'updates'], (graph, [indices, updates], { shape }) =>
  scatterNd(graph, full(graph, 0, shape, updates!.dtype), indices!, updates!, 'add'),
);
defineKernel(
  'TensorScatterUpdate',
  ['tensor', 'indices', 'updates'],
  (graph, [tensor, indices, updates]) => scatterNd(graph, tensor!, indices!, updates!, 'none'),
);
defineKernel('UnsortedSegmentSum', ['x', 'segmentIds'], (graph, [x, ids], { numSegments }) => {
  const rest = x!.shape.slice(ids!.shape.length);
  const rows = graph.reshape(x!, [sizeOf(ids!.shape), ...rest]);
  const indices = graph.reshape(ids!, [sizeOf(ids!.shape), 1]);
  return scatterNd(graph, full(graph, 0, [numSegments, ...rest], x!.dtype), indices, rows, 'add');
});

defineKernel('OneHot', ['indices'], (graph, [indices], { depth, onValue, offValue, dtype }) => {
  // ONNX' OneHot wants 64-bit indices on the CPU; a comparison with 0 … depth−1 runs on every device.
  const classes = graph.constant(
    Int32Array.from({ length: depth }, (_, i) => i),
    [depth],
    'int32',
  );
  const shape = [...indices!.shape, depth];
  const column = graph.reshape(graph.cast(indices!, 'int32'), [...indices!.shape, 1]);
  const hot = graph.add('Equal', [column, classes], { shape, dtype: 'bool' });
  const number = graph.cast(hot, dtype ?? 'float32');
  if (onValue === 1 && offValue === 0) return number;
  const scaled = binary(graph, 'Mul', number, full(graph, onValue - offValue, [], number.dtype));
  return binary(graph, 'Add', scaled, full(graph, offValue, [], number.dtype));
});
