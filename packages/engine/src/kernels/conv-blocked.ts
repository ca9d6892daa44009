/**
 * Convolutions in ONNX Runtime's blocked layout (NCHWc), which for weights that are inputs of a graph it does not choose by
 * itself. Where it is the faster one is measured.
 */
import { type Graph, sizeOf, type Value } from '../graph/graph.js';
import {
  BLOCKED_DOMAIN,
  fromBlocked,
  prefersBlocked,
  toBlocked,
  wholeBlocks,
} from './blocked-layout.js';
import { type ConvInfo, sharedTable } from './conv-columns.js';
import { isDifferentiating } from './differentiating.js';

export interface Padding {
  readonly top: number;
  readonly left: number;
  readonly bottom: number;
  readonly right: number;
}

/** ONNX Runtime rearranges channels in fours. */
const CHANNEL_UNIT = 4;
/** Work that zeros in half-filled blocks may add: the plain convolution takes longer than so many times the work. */
const MOST_PADDED_WORK = 2;

/** Whether the channels fill the blocks of this machine, or enough of them, and it convolves faster in its layout. */
export function isBlockable(graph: Graph, info: ConvInfo): boolean {
  const { inChannels, outChannels } = info;
  const size = {
    rows: info.batchSize * info.outHeight * info.outWidth,
    channels: Math.sqrt(inChannels * outChannels),
  };
  return prefersBlocked(graph, kindOf(info), size, (block) =>
    fillEnough(block, inChannels, outChannels),
  );
}

function fillEnough(block: number, inputs: number, outputs: number): boolean {
  if (inputs % CHANNEL_UNIT !== 0 || outputs % CHANNEL_UNIT !== 0) return false;
  const whole = (channels: number) => Math.ceil(channels / block) * block;
  return whole(inputs) * whole(outputs) <= MOST_PADDED_WORK * inputs * outputs;
}

/** A layer with a backward pass is measured with it: its values leave the layout between the two. */
function kindOf({ filterHeight, filterWidth }: ConvInfo): string {
  if (isDifferentiating()) return 'convolution-gradient';
  return filterHeight * filterWidth === 1 ? 'convolution1x1' : 'convolution3x3';
}

/**
 * @param x (N, h, w, in). @param filter (out, in, kh, kw). @param bias (out).
 * @returns (N, oh, ow, out).
 */
export function blockedConvolution(
  graph: Graph,
  x: Value,
  filter: Value,
  bias: Value | undefined,
  info: ConvInfo,
): Value {
  const weights = outputBlocks(graph, filter);
  return convolveBlocked(graph, x, weights, bias, {
    shape: info.outShape,
    kernel: [info.filterHeight, info.filterWidth],
    strides: [info.strideHeight, info.strideWidth],
    dilations: [info.dilationHeight, info.dilationWidth],
    padding: info.padInfo,
  });
}

/**
 * dL/dx at stride 1: a convolution of dy with the flipped filter, its inputs and outputs exchanged.
 * @param dy (N, oh, ow, out). @param filter (out, in, kh, kw). @returns (N, h, w, in).
 */
export function blockedInputGradient(
  graph: Graph,
  dy: Value,
  filter: Value,
  info: ConvInfo,
  padding: Padding,
): Value {
  return convolveBlocked(graph, dy, inputBlocks(graph, filter), undefined, {
    shape: info.inShape,
    kernel: [info.filterHeight, info.filterWidth],
    strides: [1, 1],
    dilations: [1, 1],
    padding,
  });
}

interface BlockedOptions {
  /** (N, h, w, C) of the result. */
  readonly shape: readonly [number, number, number, number];
  readonly kernel: readonly [number, number];
  readonly strides: readonly [number, number];
  readonly dilations: readonly [number, number];
  readonly padding: Padding;
}

/** @param weights blocks [C'/b][C/b][taps][b of C][b of C'], for an image of C channels and a result of C'. */
function convolveBlocked(
  graph: Graph,
  image: Value,
  weights: Value,
  bias: Value | undefined,
  { shape, kernel, strides, dilations, padding }: BlockedOptions,
): Value {
  const [batch, height, width, channels] = shape;
  const inputs = image.shape[3]!;
  const reordered = toBlocked(graph, image);
  const whole = wholeBlocks(graph, channels);
  const filter = graph.reshape(weights, [whole, wholeBlocks(graph, inputs), ...kernel]);
  const offset = bias === undefined ? [] : [padded(graph, bias, [whole])];
  const { top, left, bottom, right } = padding;
  const attributes = {
    kernel_shape: kernel,
    strides,
    dilations,
    pads: [top, left, bottom, right],
    group: 1,
  };
  const result = graph.add(
    'Conv',
    [reordered, filter, ...offset],
    { shape: [batch, whole, height, width], dtype: 'float32' },
    { domain: BLOCKED_DOMAIN, attributes },
  );
  return fromBlocked(graph, result, channels);
}

/** With zeros at the ends of its axes. */
function padded(graph: Graph, x: Value, shape: readonly number[]): Value {
  const missing = shape.map((size, axis) => size - x.shape[axis]!);
  if (missing.every((count) => count === 0)) return x;
  const pads = graph.int64([...missing.map(() => 0), ...missing]);
  return graph.add('Pad', [x, pads, graph.scalar(0)], { shape, dtype: x.dtype });
}

/** Outputs, inputs and taps of a filter, channels in whole blocks. */
function sizesOf(graph: Graph, { shape }: Value) {
  const [outputs, inputs, height, width] = shape as [number, number, number, number];
  const [allOutputs, allInputs] = [outputs, inputs].map((n) => wholeBlocks(graph, n)) as [
    number,
    number,
  ];
  return { outputs, inputs, taps: height * width, allOutputs, allInputs };
}

/**
 * What a convolution takes: [out/b][in/b][taps][b of in][b of out]. Turned as one matrix, then moved in runs of b outputs: ONNX
 * Runtime is many times slower with a stack of small matrices, above all on several threads.
 * @param filter (out, in, kh, kw); blocks that it fills in part are filled up with zeros.
 */
function outputBlocks(graph: Graph, filter: Value): Value {
  const block = graph.channelBlock!;
  const { outputs, inputs, taps, allOutputs, allInputs } = sizesOf(graph, filter);
  const turned = graph.transpose(graph.reshape(filter, [outputs, inputs * taps]), [1, 0]);
  const shape = [allInputs, taps, allOutputs];
  const whole = padded(graph, graph.reshape(turned, [inputs, taps, outputs]), shape);
  const place = (output: number, input: number, tap: number, row: number) =>
    ((input * block + row) * taps + tap) * (allOutputs / block) + output;
  const counts = [allOutputs / block, allInputs / block, taps, block] as const;
  return movedRuns(graph, whole, `output blocks ${shape.join()}`, () => table(counts, place));
}

/**
 * What the convolution of an input gradient takes, inputs and outputs exchanged and the taps in reverse:
 * [in/b][out/b][taps][b of out][b of in].
 * @param filter as of {@link outputBlocks}.
 */
function inputBlocks(graph: Graph, filter: Value): Value {
  const block = graph.channelBlock!;
  const { outputs, inputs, taps, allOutputs, allInputs } = sizesOf(graph, filter);
  const turned = graph.transpose(graph.reshape(filter, [outputs * inputs, taps]), [1, 0]);
  const shape = [taps, allOutputs, allInputs];
  const whole = padded(graph, graph.reshape(turned, [taps, outputs, inputs]), shape);
  const place = (input: number, output: number, tap: number, row: number) =>
    ((taps - 1 - tap) * allOutputs + output * block + row) * (allInputs / block) + input;
  const counts = [allInputs / block, allOutputs / block, taps, block] as const;
  return movedRuns(graph, whole, `input blocks ${shape.join()}`, () => table(counts, place));
}

/** Runs of b channels in another order. @param order as of {@link sharedTable}. */
function movedRuns(graph: Graph, whole: Value, key: string, order: () => Int32Array): Value {
  const block = graph.channelBlock!;
  const runs = graph.reshape(whole, [sizeOf(whole.shape) / block, block]);
  const type = { shape: runs.shape, dtype: 'float32' as const };
  const inputs = [runs, sharedTable(graph, key, order)];
  return graph.add('Gather', inputs, type, { attributes: { axis: 0 } });
}

type Four = readonly [number, number, number, number];

/** A number for each index of an array of four axes, row by row. */
function table([a, b, c, d]: Four, place: (...index: Four) => number): Int32Array {
  return Int32Array.from({ length: a * b * c * d }, (_, i) =>
    place(Math.floor(i / (b * c * d)), Math.floor(i / (c * d)) % b, Math.floor(i / d) % c, i % d),
  );
}
