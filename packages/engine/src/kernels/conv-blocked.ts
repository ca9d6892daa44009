/**
 * Convolutions in ONNX Runtime's blocked layout (NCHWc), which for weights that are inputs of a graph it does not choose by
 * itself. Where it is the faster one is measured.
 */
import type { Graph, Value } from '../graph/graph.js';
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
 * @param x (N, h, w, in). @param filter (out, taps, in). @param bias (out).
 * @returns (N, oh, ow, out).
 */
export function blockedConvolution(
  graph: Graph,
  x: Value,
  filter: Value,
  bias: Value | undefined,
  info: ConvInfo,
): Value {
  const weights = swapInsideBlocks(graph, blockFilter(graph, filter, 'outputs'));
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
 * @param dy (N, oh, ow, out). @param filter (out, taps, in). @returns (N, h, w, in).
 */
export function blockedInputGradient(
  graph: Graph,
  dy: Value,
  filter: Value,
  info: ConvInfo,
  padding: Padding,
): Value {
  return convolveBlocked(graph, dy, blockFilter(graph, filter, 'inputs'), undefined, {
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

/**
 * Moves whole runs of b input channels of a filter (out, taps, in).
 * @param first `outputs`: [out/b][in/b][taps][b of out][b of in]; `inputs`: [in/b][out/b][taps reversed][b of out][b of in].
 * Blocks that the filter fills in part are filled up with zeros.
 * @returns (blocks, b of out, b of in).
 */
function blockFilter(graph: Graph, filter: Value, first: 'outputs' | 'inputs'): Value {
  const block = graph.channelBlock!;
  const taps = filter.shape[1]!;
  const [outputs, inputs] = [filter.shape[0]!, filter.shape[2]!].map((n) =>
    wholeBlocks(graph, n),
  ) as [number, number];
  const whole = padded(graph, filter, [outputs, taps, inputs]);
  const order = sharedTable(graph, `${first} first ${whole.shape.join()}`, () =>
    blockOrder([outputs / block, taps, inputs / block], block, first),
  );
  const runs = graph.reshape(whole, [outputs * taps * (inputs / block), block]);
  const type = { shape: runs.shape, dtype: 'float32' as const };
  const moved = graph.add('Gather', [runs, order], type, { attributes: { axis: 0 } });
  return graph.reshape(moved, [(outputs * taps * inputs) / block ** 2, block, block]);
}

function blockOrder(
  [outerOutputs, taps, outerInputs]: readonly [number, number, number],
  block: number,
  first: 'outputs' | 'inputs',
): Int32Array {
  const order: number[] = [];
  const [slow, fast] =
    first === 'outputs' ? [outerOutputs, outerInputs] : [outerInputs, outerOutputs];
  for (let i = 0; i < slow; i += 1) {
    for (let j = 0; j < fast; j += 1) {
      const [output, input] = first === 'outputs' ? [i, j] : [j, i];
      for (let k = 0; k < taps; k += 1) {
        const tap = first === 'outputs' ? k : taps - 1 - k;
        for (let row = 0; row < block; row += 1) {
          order.push(((output * block + row) * taps + tap) * outerInputs + input);
        }
      }
    }
  }
  return Int32Array.from(order);
}

/** (blocks, b of out, b of in) to (blocks, b of in, b of out). */
const swapInsideBlocks = (graph: Graph, blocks: Value): Value => graph.transpose(blocks, [0, 2, 1]);
