import type { Graph, Value } from '../graph/graph.js';
import { tf } from '../tfjs.js';
import {
  blockedConvolution,
  blockedInputGradient,
  isBlockable,
  type Padding,
} from './conv-blocked.js';
import {
  type ConvInfo,
  collectedInputGradient,
  columnConvolution,
  filterGradient,
} from './conv-columns.js';
import { defineKernel } from './registry.js';

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

/** A filter in the layouts that convolutions want; a layout is written into the graph when it is asked for. */
interface Filter {
  /** (out, in, kh, kw), as ONNX and PyTorch have it. */
  readonly planes: () => Value;
  /** (out, taps, in). */
  readonly pixels: () => Value;
}

/** @param filter (kh, kw, in, out). */
function filterOfTfjs(graph: Graph, filter: Value): Filter {
  const [height, width, inputs, outputs] = filter.shape as [number, number, number, number];
  const matrix = graph.reshape(filter, [height * width * inputs, outputs]);
  return {
    planes: () => graph.transpose(filter, FILTER_TO_ONNX),
    pixels: () => graph.reshape(graph.transpose(matrix, [1, 0]), [outputs, height * width, inputs]),
  };
}

/** @param filter (out, in, kh, kw). */
function filterOfTorch(graph: Graph, filter: Value): Filter {
  const [outputs, inputs, height, width] = filter.shape as [number, number, number, number];
  const planes = graph.reshape(filter, [outputs, inputs, height * width]);
  return { planes: () => filter, pixels: () => graph.transpose(planes, [0, 2, 1]) };
}

/** Output pixels of a batch up to which another layout of the filter costs more than the product itself. */
const FEW_PIXELS = 256;

/** GPUs have a good convolution of their own. */
const isSmall = (graph: Graph, info: ConvInfo): boolean =>
  !graph.withoutCpuOperators && info.batchSize * info.outHeight * info.outWidth <= FEW_PIXELS;

/** @param x (N, h, w, in). @returns (N, oh, ow, out). */
function convolve(
  graph: Graph,
  x: Value,
  filter: Filter,
  bias: Value | undefined,
  info: ConvInfo,
): Value {
  if (isSmall(graph, info)) return columnConvolution(graph, x, filter.pixels(), bias, info);
  if (isBlockable(graph, info)) return blockedConvolution(graph, x, filter.planes(), bias, info);
  const image = graph.transpose(x, TO_CHANNELS_FIRST);
  const inputs = bias === undefined ? [image, filter.planes()] : [image, filter.planes(), bias];
  const type = { shape: channelsFirst(info.outShape), dtype: 'float32' as const };
  const result = graph.add('Conv', inputs, type, { attributes: nodeAttributes(info) });
  return graph.transpose(result, TO_CHANNELS_LAST);
}

/** @param dy (N, oh, ow, out). @returns (N, h, w, in). */
function inputGradient(graph: Graph, dy: Value, filter: Filter, info: ConvInfo): Value {
  const padding = flippedPadding(info);
  const isUnit = info.strideHeight === 1 && info.strideWidth === 1;
  if (!isUnit || isSmall(graph, info) || Math.min(...Object.values(padding)) < 0) {
    return collectedInputGradient(graph, dy, filter.pixels(), info);
  }
  if (isBlockable(graph, info)) {
    return blockedInputGradient(graph, dy, filter.planes(), info, padding);
  }
  const image = graph.transpose(dy, TO_CHANNELS_FIRST);
  const result = correlateFlipped(graph, image, filter.planes(), info, padding);
  return graph.transpose(result, TO_CHANNELS_LAST);
}

/** Padding of dy with which, at stride 1, its convolution with the flipped filter is the input gradient. */
function flippedPadding(info: ConvInfo): Padding {
  const { top, left } = info.padInfo;
  return {
    top: info.filterHeight - 1 - top,
    left: info.filterWidth - 1 - left,
    bottom: info.inHeight - info.outHeight + top,
    right: info.inWidth - info.outWidth + left,
  };
}

/** @param dy (N, out, oh, ow). @param filter (out, in, kh, kw). @returns (N, in, h, w). */
function correlateFlipped(
  graph: Graph,
  dy: Value,
  filter: Value,
  info: ConvInfo,
  { top, left, bottom, right }: Padding,
): Value {
  const axes = graph.int64([2, 3]);
  const starts = graph.int64([-1, -1]);
  const ends = graph.int64([-(2 ** 31), -(2 ** 31)]);
  const type = { shape: filter.shape, dtype: filter.dtype };
  const flipped = graph.add('Slice', [filter, starts, ends, axes, starts], type);
  const attributes = { pads: [top, left, bottom, right] };
  return graph.add(
    'Conv',
    [dy, graph.transpose(flipped, [1, 0, 2, 3])],
    { shape: channelsFirst(info.inShape), dtype: 'float32' },
    { attributes },
  );
}

// ---------------------------------------------------------------------------------------------- tfjs' kernels

defineKernel('Conv2D', ['x', 'filter'], (graph, [x, filter], attributes) => {
  const info = convInfo(x!.shape, filter!.shape, attributes);
  return convolve(graph, x!, filterOfTfjs(graph, filter!), undefined, info);
});

defineKernel('Conv2DBackpropInput', ['dy', 'filter'], (graph, [dy, filter], attributes) => {
  const info = convInfo(attributes.inputShape, filter!.shape, attributes);
  return inputGradient(graph, dy!, filterOfTfjs(graph, filter!), info);
});

defineKernel('Conv2DBackpropFilter', ['x', 'dy'], (graph, [x, dy], attributes) => {
  const info = convInfo(x!.shape, attributes.filterShape, attributes);
  const gradient = filterGradient(graph, x!, dy!, info);
  const taps = info.filterHeight * info.filterWidth;
  const matrix = graph.reshape(gradient, [info.outChannels, taps * info.inChannels]);
  return graph.reshape(graph.transpose(matrix, [1, 0]), [...attributes.filterShape]);
});

// ---------------------------------------------------------------------------------------------- ops.convolution

interface ConvolutionAttributes {
  readonly stride: number;
  readonly padding: number;
}

/** tfjs takes the width of a filter for its height when padding is given as one number. */
const symmetricPadding = (padding: number): tf.backend_util.ExplicitPadding => [
  [0, 0],
  [padding, padding],
  [padding, padding],
  [0, 0],
];

/** @param weight shape (out, in, kh, kw). */
function torchInfo(
  inShape: readonly number[],
  weight: readonly number[],
  { stride, padding }: ConvolutionAttributes,
): ConvInfo {
  const [outputs, inputs, height, width] = weight as [number, number, number, number];
  const pad = symmetricPadding(padding);
  const attributes = {
    strides: stride,
    pad,
    dataFormat: 'NHWC',
    dimRoundingMode: 'floor',
  } as const;
  return convInfo(inShape, [height, width, inputs, outputs], attributes);
}

defineKernel('Convolution', ['x', 'weight', 'bias'], (graph, [x, weight, bias], attributes) => {
  const info = torchInfo(x!.shape, weight!.shape, attributes);
  return convolve(graph, x!, filterOfTorch(graph, weight!), bias, info);
});

defineKernel('ConvolutionInputGradient', ['dy', 'weight'], (graph, [dy, weight], attributes) => {
  const info = torchInfo(attributes.inShape, weight!.shape, attributes);
  return inputGradient(graph, dy!, filterOfTorch(graph, weight!), info);
});

defineKernel('ConvolutionWeightGradient', ['x', 'dy'], (graph, [x, dy], attributes) => {
  const info = torchInfo(x!.shape, attributes.weightShape, attributes);
  const planes = graph.transpose(filterGradient(graph, x!, dy!, info), [0, 2, 1]);
  return graph.reshape(planes, [...attributes.weightShape]);
});

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
