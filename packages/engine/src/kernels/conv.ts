import { type Graph, sizeOf, type Value } from '../graph/graph.js';
import { tf } from '../tfjs.js';
import {
  blockedConvolution,
  blockedInputGradient,
  type Filter,
  type FilterStack,
  isBlockable,
  type Padding,
} from './conv-blocked.js';
import {
  collectedInputGradient,
  columnConvolution,
  filterGradient,
  hasFewPixels,
} from './conv-columns.js';
import type { ConvInfo } from './conv-info.js';
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
  sets = 1,
): ConvInfo {
  if (attributes.dataFormat !== undefined && attributes.dataFormat !== 'NHWC') {
    throw new Error(`Conv2D: data format ${attributes.dataFormat} is not supported; use NHWC.`);
  }
  const info = tf.backend_util.computeConv2DInfo(
    xShape as [number, number, number, number],
    filterShape as [number, number, number, number],
    attributes.strides,
    attributes.dilations ?? 1,
    attributes.pad,
    attributes.dimRoundingMode,
    false,
    'channelsLast',
  );
  return { ...info, sets };
}

const nodeAttributes = (info: ConvInfo) => ({
  strides: [info.strideHeight, info.strideWidth],
  dilations: [info.dilationHeight, info.dilationWidth],
  pads: [info.padInfo.top, info.padInfo.left, info.padInfo.bottom, info.padInfo.right],
  ...groups(info),
});

const groups = ({ sets }: ConvInfo) => (sets === 1 ? {} : { group: sets });

const channelsFirst = (shape: readonly number[]) => TO_CHANNELS_FIRST.map((axis) => shape[axis]!);

/** (N, C, h, w) as ONNX takes images of several filter sets: those of one step side by side, a group of channels each. */
const besideEachOther = (graph: Graph, image: Value, { sets }: ConvInfo): Value => {
  const [batch, channels, ...size] = image.shape as [number, number, number, number];
  return graph.reshape(image, [batch / sets, sets * channels, ...size]);
};

/** @param filter (kh, kw, in, out). */
function filterOfTfjs(graph: Graph, filter: Value): Filter {
  const [height, width, inputs, outputs] = filter.shape as [number, number, number, number];
  const matrix = graph.reshape(filter, [height * width * inputs, outputs]);
  const planes = () => graph.transpose(filter, FILTER_TO_ONNX);
  return {
    source: filter,
    ...turnedPlanes(graph, planes),
    pixels: () => graph.reshape(graph.transpose(matrix, [1, 0]), [outputs, height * width, inputs]),
  };
}

/** @param filter (out, in, kh, kw), or (kh, kw, sets, out, in). */
function filterOfTorch(graph: Graph, filter: Value): Filter {
  if (filter.shape.length === 5) return filterOfSets(graph, filter);
  const [outputs, inputs, height, width] = filter.shape as [number, number, number, number];
  const planes = graph.reshape(filter, [outputs, inputs, height * width]);
  return {
    source: filter,
    ...turnedPlanes(graph, () => filter),
    pixels: () => graph.transpose(planes, [0, 2, 1]),
  };
}

/** Planes (out, in, kh, kw) turned as one matrix: ONNX Runtime is many times slower with a stack of small ones. */
function turnedPlanes(graph: Graph, planes: () => Value) {
  const turned = (rows: (outputs: number, inputs: number, taps: number) => readonly number[]) => {
    const filter = planes();
    const [outputs, inputs, height, width] = filter.shape as [number, number, number, number];
    const matrix = graph.reshape(filter, rows(outputs, inputs, height * width));
    return graph.transpose(matrix, [1, 0]);
  };
  return {
    planes,
    tapsFirst: () => turned((outputs, inputs, taps) => [outputs * inputs, taps]),
    outputsLast: () => turned((outputs, inputs, taps) => [outputs, inputs * taps]),
  };
}

/** @param filter (kh, kw, sets, out, in). */
const filterOfSets = (graph: Graph, filter: Value): Filter => ({
  ...wholeFilterOfSets(graph, filter),
  stack: stackOf(graph, filter),
});

/** Where a filter was split off from others of its shape that lay beside it: (taps, layers · sets · out · in). */
function stackOf(graph: Graph, filter: Value): FilterStack | undefined {
  const part = graph.unshaped(filter);
  const split = graph.producerOf(part);
  if (split?.operator !== 'Split' || split.attributes['axis'] !== 1) return undefined;
  const [height, width, sets, outputs, inputs] = filter.shape as Five;
  const isRow = (value: Value) =>
    value.shape.join() === [height * width, sets * outputs * inputs].join();
  if (!split.outputs.every(isRow)) return undefined;
  const layers = split.outputs.length;
  const shape = [height, width, layers * sets, outputs, inputs];
  const whole = wholeFilterOfSets(graph, graph.reshape(split.inputs[0]!, shape));
  return { whole, layers, layer: split.outputs.indexOf(part) };
}

function wholeFilterOfSets(graph: Graph, filter: Value): Filter {
  const [height, width, sets, outputs, inputs] = filter.shape as Five;
  const rows = sets * outputs;
  const tapsFirst = graph.reshape(filter, [height * width, rows, inputs]);
  const planes = () =>
    graph.transpose(graph.reshape(filter, [height * width, rows * inputs]), [1, 0]);
  return {
    source: filter,
    planes: () => graph.reshape(planes(), [rows, inputs, height, width]),
    pixels: () => graph.transpose(tapsFirst, [1, 0, 2]),
    tapsFirst: () => tapsFirst,
    outputsLast: () =>
      graph.transpose(graph.reshape(filter, [height * width * rows, inputs]), [1, 0]),
  };
}

type Five = readonly [number, number, number, number, number];

/** ONNX Runtime computes what weights alone decide once, before the first run, but knows no operators of the layout there. */
const isInLayout = (graph: Graph, image: Value, { source }: Filter, info: ConvInfo): boolean =>
  !(graph.isPrepared(image) && graph.isPrepared(source)) && isBlockable(graph, info);

/** @param x (N, h, w, in). @param bias (sets · out). @returns (N, oh, ow, out). */
function convolve(
  graph: Graph,
  x: Value,
  filter: Filter,
  bias: Value | undefined,
  info: ConvInfo,
): Value {
  if (hasFewPixels(graph, info)) return columnConvolution(graph, x, filter.pixels(), bias, info);
  if (isInLayout(graph, x, filter, info)) return blockedConvolution(graph, x, filter, bias, info);
  const image = besideEachOther(graph, graph.transpose(x, TO_CHANNELS_FIRST), info);
  const inputs = bias === undefined ? [image, filter.planes()] : [image, filter.planes(), bias];
  const result = plainConvolution(graph, inputs, info.outShape, info, nodeAttributes(info));
  return graph.transpose(result, TO_CHANNELS_LAST);
}

/** @param shape (N, h, w, C) of the result. @returns (N, C, h, w). */
function plainConvolution(
  graph: Graph,
  inputs: readonly Value[],
  shape: readonly number[],
  { sets }: ConvInfo,
  attributes: Readonly<Record<string, number | readonly number[]>>,
): Value {
  const [batch, channels, ...size] = channelsFirst(shape) as [number, number, number, number];
  const type = { shape: [batch / sets, sets * channels, ...size], dtype: 'float32' as const };
  const result = graph.add('Conv', inputs, type, { attributes });
  return graph.reshape(result, [batch, channels, ...size]);
}

/** @param dy (N, oh, ow, out). @returns (N, h, w, in). */
function inputGradient(graph: Graph, dy: Value, filter: Filter, info: ConvInfo): Value {
  const padding = flippedPadding(info);
  const isUnit = info.strideHeight === 1 && info.strideWidth === 1;
  if (!isUnit || hasFewPixels(graph, info) || Math.min(...Object.values(padding)) < 0) {
    return collectedInputGradient(graph, dy, filter.pixels(), info);
  }
  if (isInLayout(graph, dy, filter, info)) {
    return blockedInputGradient(graph, dy, filter, info, padding);
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

/** @param dy (N, out, oh, ow). @param filter (sets · out, in, kh, kw). @returns (N, in, h, w). */
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
  const attributes = { pads: [top, left, bottom, right], ...groups(info) };
  const inputs = [besideEachOther(graph, dy, info), exchanged(graph, flipped, info)];
  return plainConvolution(graph, inputs, info.inShape, info, attributes);
}

/** (sets · out, in, kh, kw) to (sets · in, out, kh, kw). */
function exchanged(graph: Graph, filter: Value, { sets, outChannels }: ConvInfo): Value {
  const [, inputs, ...kernel] = filter.shape as [number, number, number, number];
  if (sets === 1) return graph.transpose(filter, [1, 0, 2, 3]);
  const apart = graph.reshape(filter, [sets, outChannels, inputs, ...kernel]);
  const turned = graph.transpose(apart, [0, 2, 1, 3, 4]);
  return graph.reshape(turned, [sets * inputs, outChannels, ...kernel]);
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
  const gradient = filterGradient(graph, x!, dy!, info).outputsFirst();
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

function ofSets(weight: readonly number[]): Five {
  if (weight.length === 5) return weight as Five;
  const [outputs, inputs, height, width] = weight as [number, number, number, number];
  return [height, width, 1, outputs, inputs];
}

/** @param weight shape (out, in, kh, kw), or (kh, kw, sets, out, in). */
function torchInfo(
  inShape: readonly number[],
  weight: readonly number[],
  { stride, padding }: ConvolutionAttributes,
): ConvInfo {
  const [height, width, sets, outputs, inputs] = ofSets(weight);
  const pad = symmetricPadding(padding);
  const attributes = {
    strides: stride,
    pad,
    dataFormat: 'NHWC',
    dimRoundingMode: 'floor',
  } as const;
  return convInfo(inShape, [height, width, inputs, outputs], attributes, sets);
}

defineKernel('Convolution', ['x', 'weight', 'bias'], (graph, [x, weight, bias], attributes) => {
  const info = torchInfo(x!.shape, weight!.shape, attributes);
  const offset = bias === undefined ? undefined : graph.reshape(bias, [sizeOf(bias.shape)]);
  return convolve(graph, x!, filterOfTorch(graph, weight!), offset, info);
});

defineKernel('ConvolutionInputGradient', ['dy', 'weight'], (graph, [dy, weight], attributes) => {
  const info = torchInfo(attributes.inShape, weight!.shape, attributes);
  return inputGradient(graph, dy!, filterOfTorch(graph, weight!), info);
});

defineKernel('ConvolutionWeightGradient', ['x', 'dy'], (graph, [x, dy], attributes) => {
  const info = torchInfo(x!.shape, attributes.weightShape, attributes);
  const { outputsFirst, tapsFirst } = filterGradient(graph, x!, dy!, info);
  const isOfSets = attributes.weightShape.length === 5;
  const ordered = isOfSets ? tapsFirst() : graph.transpose(outputsFirst(), [0, 2, 1]);
  return graph.reshape(ordered, [...attributes.weightShape]);
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
