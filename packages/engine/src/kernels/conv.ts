import { type Graph, sizeOf, type Value } from '../graph/graph.js';
import { tf } from '../tfjs.js';
import { matMul } from './matmul.js';
import { defineKernel } from './registry.js';
import { slice } from './shape.js';

type ConvInfo = tf.backend_util.Conv2DInfo;

/** tfjs keeps images as NHWC and filters as HWIO; ONNX wants NCHW and OIHW. */
const TO_CHANNELS_FIRST = [0, 3, 1, 2];
const TO_CHANNELS_LAST = [0, 2, 3, 1];
const FILTER_TO_ONNX = [3, 2, 0, 1];

function convInfo(
  xShape: readonly number[],
  filterShape: readonly number[],
  attributes: {
    strides: number | [number, number];
    pad: 'valid' | 'same' | number | tf.backend_util.ExplicitPadding;
    dataFormat: string;
    dilations?: number | [number, number];
    dimRoundingMode?: 'floor' | 'round' | 'ceil';
  },
): ConvInfo {
  if (attributes.dataFormat !== undefined && attributes.dataFormat !== 'NHWC') {
    throw new Error(`Conv2D: data format ${attributes.dataFormat} is not supported; use NHWC.`);
  }
  return tf.backend_util.computeConv2DInfo(
    xShape as [number, number, number, number],
    filterShape as [number, number, number, number],
    attributes.strides,
    attributes.dilations ?? 1,
    attributes.pad,
    attributes.dimRoundingMode,
    false,
    'channelsLast',
  );
}

const nodeAttributes = (info: ConvInfo) => ({
  strides: [info.strideHeight, info.strideWidth],
  dilations: [info.dilationHeight, info.dilationWidth],
  pads: [info.padInfo.top, info.padInfo.left, info.padInfo.bottom, info.padInfo.right],
});

const channelsFirst = (shape: readonly number[]) => TO_CHANNELS_FIRST.map((axis) => shape[axis]!);

defineKernel('Conv2D', ['x', 'filter'], (graph, [x, filter], attributes) => {
  const info = convInfo(x!.shape, filter!.shape, attributes);
  const image = graph.transpose(x!, TO_CHANNELS_FIRST);
  const weights = graph.transpose(filter!, FILTER_TO_ONNX);
  const type = { shape: channelsFirst(info.outShape), dtype: 'float32' as const };
  const result = graph.add('Conv', [image, weights], type, { attributes: nodeAttributes(info) });
  return graph.transpose(result, TO_CHANNELS_LAST);
});

defineKernel('Conv2DBackpropInput', ['dy', 'filter'], (graph, [dy, filter], attributes) => {
  const info = convInfo(attributes.inputShape, filter!.shape, attributes);
  const unit = info.strideHeight === 1 && info.strideWidth === 1;
  const image = graph.transpose(dy!, TO_CHANNELS_FIRST);
  const result = unit
    ? correlateFlipped(graph, image, filter!, info)
    : transposedConvolution(graph, image, filter!, info);
  return graph.transpose(result, TO_CHANNELS_LAST);
});

/** At stride 1 the input gradient is itself a convolution, with the flipped filter: the faster kernel. */
function correlateFlipped(graph: Graph, dy: Value, filter: Value, info: ConvInfo): Value {
  const axes = graph.int64([0, 1]);
  const starts = graph.int64([-1, -1]);
  const ends = graph.int64([-(2 ** 31), -(2 ** 31)]);
  const type = { shape: filter.shape, dtype: filter.dtype };
  const flipped = graph.add('Slice', [filter, starts, ends, axes, starts], type);
  const spanY = (info.filterHeight - 1) * info.dilationHeight;
  const spanX = (info.filterWidth - 1) * info.dilationWidth;
  const { top, left } = info.padInfo;
  const bottom = info.inHeight + spanY - info.outHeight - (spanY - top);
  const right = info.inWidth + spanX - info.outWidth - (spanX - left);
  const attributes = {
    dilations: [info.dilationHeight, info.dilationWidth],
    pads: [spanY - top, spanX - left, bottom, right],
  };
  const weights = graph.transpose(flipped, [2, 3, 0, 1]); // (in, out, kh, kw)
  return graph.add(
    'Conv',
    [dy, weights],
    { shape: channelsFirst(info.inShape), dtype: 'float32' },
    { attributes },
  );
}

function transposedConvolution(graph: Graph, dy: Value, filter: Value, info: ConvInfo): Value {
  const reach = (out: number, stride: number, size: number, dilation: number) =>
    (out - 1) * stride + (size - 1) * dilation + 1;
  const { top, left, bottom, right } = info.padInfo;
  const height = reach(info.outHeight, info.strideHeight, info.filterHeight, info.dilationHeight);
  const width = reach(info.outWidth, info.strideWidth, info.filterWidth, info.dilationWidth);
  const attributes = {
    ...nodeAttributes(info),
    // Rows of the input that no output row reaches (the stride does not divide) get zeros.
    output_padding: [info.inHeight + top + bottom - height, info.inWidth + left + right - width],
  };
  const weights = graph.transpose(filter, FILTER_TO_ONNX); // (out, in, kh, kw)
  return graph.add(
    'ConvTranspose',
    [dy, weights],
    { shape: channelsFirst(info.inShape), dtype: 'float32' },
    { attributes },
  );
}

defineKernel('Conv2DBackpropFilter', ['x', 'dy'], (graph, [x, dy], attributes) => {
  const info = convInfo(x!.shape, attributes.filterShape, attributes);
  const { top, left, bottom, right } = info.padInfo;
  const pads = graph.int64([0, top, left, 0, 0, bottom, right, 0]);
  const [batch, height, width, inChannels] = x!.shape as [number, number, number, number];
  const padded = [batch, height + top + bottom, width + left + right, inChannels];
  const image =
    top + left + bottom + right === 0
      ? x!
      : graph.add('Pad', [x, pads, graph.scalar(0)], { shape: padded, dtype: 'float32' });
  const gradient = graph.reshape(dy!, [sizeOf(dy!.shape.slice(0, 3)), info.outChannels]);
  const taps: Value[] = [];
  for (let row = 0; row < info.filterHeight; row += 1) {
    for (let column = 0; column < info.filterWidth; column += 1) {
      const shifted = shiftedInput(graph, image, info, row, column);
      taps.push(matMul(graph, shifted, gradient, { transposeA: true }));
    }
  }
  const stacked = taps.map((tap) => graph.reshape(tap, [1, info.inChannels, info.outChannels]));
  const type = {
    shape: [taps.length, info.inChannels, info.outChannels],
    dtype: 'float32' as const,
  };
  const all =
    stacked.length === 1
      ? stacked[0]!
      : graph.add('Concat', stacked, type, { attributes: { axis: 0 } });
  return graph.reshape(all, [...attributes.filterShape]);
});

/** Rows of x that meet filter tap (row, column), as a matrix (batch·outH·outW, in). */
function shiftedInput(graph: Graph, x: Value, info: ConvInfo, row: number, column: number): Value {
  const begin = [0, row * info.dilationHeight, column * info.dilationWidth, 0];
  const reachY = (info.outHeight - 1) * info.strideHeight + 1;
  const reachX = (info.outWidth - 1) * info.strideWidth + 1;
  const size = [x.shape[0]!, reachY, reachX, x.shape[3]!];
  const shape = [x.shape[0]!, info.outHeight, info.outWidth, x.shape[3]!];
  const strided = info.strideHeight !== 1 || info.strideWidth !== 1;
  const cut = strided
    ? stridedCut(graph, x, begin, size, info, shape)
    : slice(graph, x, begin, size);
  return graph.reshape(cut, [sizeOf(shape.slice(0, 3)), shape[3]!]);
}

function stridedCut(
  graph: Graph,
  x: Value,
  begin: readonly number[],
  size: readonly number[],
  info: ConvInfo,
  shape: readonly number[],
): Value {
  const starts = graph.int64([begin[1]!, begin[2]!]);
  const ends = graph.int64([begin[1]! + size[1]!, begin[2]! + size[2]!]);
  const steps = graph.int64([info.strideHeight, info.strideWidth]);
  const inputs = [x, starts, ends, graph.int64([1, 2]), steps];
  return graph.add('Slice', inputs, { shape, dtype: x.dtype });
}

defineKernel('DepthwiseConv2dNative', ['x', 'filter'], (graph, [x, filter], attributes) => {
  const [height, width, inChannels, multiplier] = filter!.shape as [number, number, number, number];
  const info = convInfo(x!.shape, [height, width, inChannels, inChannels * multiplier], attributes);
  const image = graph.transpose(x!, TO_CHANNELS_FIRST);
  const grouped = graph.transpose(filter!, [2, 3, 0, 1]);
  const weights = graph.reshape(grouped, [inChannels * multiplier, 1, height, width]);
  const type = { shape: channelsFirst(info.outShape), dtype: 'float32' as const };
  const options = { attributes: { ...nodeAttributes(info), group: inChannels } };
  return graph.transpose(graph.add('Conv', [image, weights], type, options), TO_CHANNELS_LAST);
});
