import type { Graph, Value } from '../graph/graph.js';
import { sizeOf } from '../graph/graph.js';
import { tf } from '../tfjs.js';
import { groupsFirst } from './blocked-layout.js';
import { full, like } from './elementwise.js';
import { defineKernel } from './registry.js';

defineKernel('Reshape', ['x'], (graph, [x], { shape }) => {
  const size = sizeOf(x!.shape);
  return graph.reshape(x!, tf.util.inferFromImplicitShape(shape, size));
});
defineKernel('ExpandDims', ['input'], (graph, [x], { dim }) => {
  const shape = [...x!.shape];
  shape.splice(dim < 0 ? shape.length + dim + 1 : dim, 0, 1);
  return graph.reshape(x!, shape);
});
defineKernel(
  'Transpose',
  ['x'],
  (graph, [x], { perm }) => groupsFirst(graph, x!, perm) ?? graph.transpose(x!, perm),
);

/** x[begin : end : 1] on the axes where it cuts something off. */
export function slice(
  graph: Graph,
  x: Value,
  begin: readonly number[],
  size: readonly number[],
): Value {
  const axes = x.shape.map((_, i) => i).filter((i) => begin[i] !== 0 || size[i] !== x.shape[i]);
  if (axes.length === 0) return x;
  const rows = axes.join() === '0' ? graph.weightRows(x, begin[0]!, size[0]!) : undefined;
  if (rows !== undefined) return rows;
  const starts = graph.int64(axes.map((i) => begin[i]!));
  const ends = graph.int64(axes.map((i) => begin[i]! + size[i]!));
  const shape = x.shape.map((_, i) => size[i]!);
  return graph.add('Slice', [x, starts, ends, graph.int64(axes)], { shape, dtype: x.dtype });
}

defineKernel('Slice', ['x'], (graph, [x], { begin, size }) => {
  const view = { shape: [...x!.shape], rank: x!.shape.length } as tf.Tensor;
  const [starts, sizes] = tf.slice_util.parseSliceParams(view, begin, size);
  return slice(graph, x!, starts!, sizes!);
});

defineKernel('StridedSlice', ['x'], (graph, [x], attributes) => {
  const info = tf.slice_util.sliceInfo(
    [...x!.shape],
    attributes.begin,
    attributes.end,
    attributes.strides,
    attributes.beginMask,
    attributes.endMask,
    attributes.ellipsisMask,
    attributes.newAxisMask,
    attributes.shrinkAxisMask,
  );
  const { begin, end, strides, finalShape } = info;
  const ends = end.map((e, i) => (strides[i]! < 0 && e < 0 ? -(2 ** 31) : e));
  const axes = graph.int64(begin.map((_, i) => i));
  const parts = [x, graph.int64(begin), graph.int64(ends), axes, graph.int64(strides)];
  const sparse = begin.map((b, i) => Math.max(0, Math.ceil((end[i]! - b) / strides[i]!)));
  return graph.reshape(graph.add('Slice', parts, { shape: sparse, dtype: x!.dtype }), finalShape);
});

export function concat(graph: Graph, values: readonly Value[], axis: number): Value {
  const parts = values.filter((value) => value.shape[axis] !== 0);
  if (parts.length === 1) return parts[0]!;
  const shape = [...(parts[0] ?? values[0]!).shape];
  shape[axis] = parts.reduce((sum, value) => sum + value.shape[axis]!, 0);
  const type = { shape, dtype: values[0]!.dtype };
  return graph.add('Concat', parts, type, { attributes: { axis } });
}

defineKernel('Concat', '*', (graph, values, { axis }) =>
  concat(graph, values, tf.util.parseAxisParam(axis, [...values[0]!.shape])[0]!),
);
defineKernel('Pack', '*', (graph, values, { axis }) => {
  const at = axis < 0 ? values[0]!.shape.length + axis + 1 : axis;
  const expanded = values.map((value) => {
    const shape = [...value.shape];
    shape.splice(at, 0, 1);
    return graph.reshape(value, shape);
  });
  return concat(graph, expanded, at);
});

export function split(graph: Graph, x: Value, sizes: readonly number[], axis: number): Value[] {
  if (sizes.length === 1) return [x];
  const types = sizes.map((size) => ({
    shape: x.shape.map((n, i) => (i === axis ? size : n)),
    dtype: x.dtype,
  }));
  return graph.addMany('Split', [x, graph.int64(sizes)], types, { attributes: { axis } });
}

defineKernel('SplitV', ['x'], (graph, [x], { numOrSizeSplits, axis }) => {
  const [at] = tf.util.parseAxisParam(axis, [...x!.shape]) as [number];
  const view = { shape: [...x!.shape] } as tf.Tensor;
  return split(graph, x!, tf.backend_util.prepareSplitSize(view, numOrSizeSplits, at), at);
});
defineKernel('Unpack', ['value'], (graph, [x], { axis }) => {
  const [at] = tf.util.parseAxisParam(axis, [...x!.shape]) as [number];
  const parts = split(graph, x!, Array<number>(x!.shape[at]!).fill(1), at);
  const shape = x!.shape.filter((_, i) => i !== at);
  return parts.map((part) => graph.reshape(part, shape));
});

defineKernel('PadV2', ['x'], (graph, [x], { paddings, constantValue }) => {
  const pairs = paddings as [number, number][];
  const pads = graph.int64([
    ...pairs.map(([before]) => before),
    ...pairs.map(([, after]) => after),
  ]);
  const shape = x!.shape.map((n, i) => n + pairs[i]![0] + pairs[i]![1]);
  const value = full(graph, constantValue, [], x!.dtype);
  return graph.add('Pad', [x, pads, value], { shape, dtype: x!.dtype });
});
defineKernel('MirrorPad', ['x'], (graph, [x], { paddings, mode }) => {
  if (mode !== 'reflect') {
    throw new Error(`MirrorPad: mode "${mode}" is not supported; use tf.mirrorPad(…, 'reflect').`);
  }
  const pairs = paddings as [number, number][];
  const pads = graph.int64([
    ...pairs.map(([before]) => before),
    ...pairs.map(([, after]) => after),
  ]);
  const shape = x!.shape.map((n, i) => n + pairs[i]![0] + pairs[i]![1]);
  return graph.add(
    'Pad',
    [x, pads],
    { shape, dtype: x!.dtype },
    { attributes: { mode: 'reflect' } },
  );
});

defineKernel('Tile', ['x'], (graph, [x], { reps }) => {
  const repeats = reps as number[];
  const shape = x!.shape.map((n, i) => n * repeats[i]!);
  if (repeats.every((n) => n === 1)) return x!;
  if (x!.shape.every((n, i) => n === 1 || repeats[i] === 1)) return graph.expand(x!, shape);
  return graph.add('Tile', [x, graph.int64(repeats)], { shape, dtype: x!.dtype });
});
defineKernel('BroadcastTo', ['x'], (graph, [x], { shape }) => graph.expand(x!, shape));

defineKernel('Range', [], (graph, _inputs, { start, stop, step, dtype }) => {
  const length = Math.max(0, Math.ceil((stop - start) / step));
  const numbers = Array.from({ length }, (_, i) => start + i * step);
  const data = dtype === 'int32' ? Int32Array.from(numbers) : Float32Array.from(numbers);
  return graph.constant(data, [length], dtype === 'int32' ? 'int32' : 'float32');
});

defineKernel('Reverse', ['x'], (graph, [x], { dims }) => {
  const axes = tf.util.parseAxisParam(dims, [...x!.shape]);
  const starts = graph.int64(axes.map(() => -1));
  const ends = graph.int64(axes.map(() => -(2 ** 31)));
  return graph.add('Slice', [x, starts, ends, graph.int64(axes), starts], like(x!));
});
