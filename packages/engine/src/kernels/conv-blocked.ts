/**
 * Convolutions in ONNX Runtime's blocked layout (NCHWc), which for weights that are inputs of a graph it does not choose by
 * itself. Where it is the faster one is measured.
 */
import { BLOCKED_DOMAIN } from '../graph/choice.js';
import { type Graph, sizeOf, type Value } from '../graph/graph.js';
import { fromBlocked, prefersBlocked, toBlocked, wholeBlocks } from './blocked-layout.js';
import type { ConvInfo } from './conv-info.js';
import { isDifferentiating } from './differentiating.js';
import { slice } from './shape.js';
import { sharedTable } from './shared-table.js';

export interface Padding {
  readonly top: number;
  readonly left: number;
  readonly bottom: number;
  readonly right: number;
}

/**
 * A filter in the layouts that convolutions want; a layout is written into the graph when it is asked for. The outputs of
 * several sets follow one after the other.
 */
export interface Filter {
  /** What all layouts are made of. */
  readonly source: Value;
  /** (sets · out, in, kh, kw), as ONNX and PyTorch have it. */
  readonly planes: () => Value;
  /** (sets · out, taps, in). */
  readonly pixels: () => Value;
  /** (taps, sets · out, in), of any shape. */
  readonly tapsFirst: () => Value;
  /** (in, taps, sets · out), of any shape. */
  readonly outputsLast: () => Value;
  /** Where it was taken from. */
  readonly stack?: FilterStack | undefined;
}

/** Filters of several layers that lie together, their outputs one after the other. */
export interface FilterStack {
  readonly whole: Filter;
  readonly layers: number;
  /** Which of them this filter is. */
  readonly layer: number;
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
 * @param x (N, h, w, in). @param bias (sets · out).
 * @returns (N, oh, ow, out).
 */
export function blockedConvolution(
  graph: Graph,
  x: Value,
  filter: Filter,
  bias: Value | undefined,
  info: ConvInfo,
): Value {
  const weights = outputBlocks(graph, filter, info);
  return convolveBlocked(graph, x, weights, bias, {
    shape: info.outShape,
    kernel: [info.filterHeight, info.filterWidth],
    strides: [info.strideHeight, info.strideWidth],
    dilations: [info.dilationHeight, info.dilationWidth],
    padding: info.padInfo,
    sets: info.sets,
  });
}

/**
 * dL/dx at stride 1: a convolution of dy with the flipped filter, its inputs and outputs exchanged.
 * @param dy (N, oh, ow, out). @returns (N, h, w, in).
 */
export function blockedInputGradient(
  graph: Graph,
  dy: Value,
  filter: Filter,
  info: ConvInfo,
  padding: Padding,
): Value {
  return convolveBlocked(graph, dy, inputBlocks(graph, filter, info), undefined, {
    shape: info.inShape,
    kernel: [info.filterHeight, info.filterWidth],
    strides: [1, 1],
    dilations: [1, 1],
    padding,
    sets: info.sets,
  });
}

interface BlockedOptions {
  /** (N, h, w, C) of the result. */
  readonly shape: readonly [number, number, number, number];
  readonly kernel: readonly [number, number];
  readonly strides: readonly [number, number];
  readonly dilations: readonly [number, number];
  readonly padding: Padding;
  readonly sets: number;
}

/**
 * Images of several sets lie side by side in the layout, as groups of channels.
 * @param weights blocks [sets][C'/b][C/b][taps][b of C][b of C'], for images of C channels and results of C'.
 */
function convolveBlocked(
  graph: Graph,
  image: Value,
  weights: Value,
  bias: Value | undefined,
  { shape, kernel, strides, dilations, padding, sets }: BlockedOptions,
): Value {
  const [batch, height, width, channels] = shape;
  const inputs = image.shape[3]!;
  const blocked = toBlocked(graph, image);
  const wholeInputs = wholeBlocks(graph, inputs);
  const size = blocked.shape.slice(2);
  const reordered = graph.reshape(blocked, [batch / sets, sets * wholeInputs, ...size]);
  const whole = wholeBlocks(graph, channels);
  const filter = graph.reshape(weights, [sets * whole, wholeInputs, ...kernel]);
  const offset = bias === undefined ? [] : [wholeBias(graph, bias, sets)];
  const { top, left, bottom, right } = padding;
  const attributes = {
    kernel_shape: kernel,
    strides,
    dilations,
    pads: [top, left, bottom, right],
    group: sets,
  };
  const result = graph.add(
    'Conv',
    [reordered, filter, ...offset],
    { shape: [batch / sets, sets * whole, height, width], dtype: 'float32' },
    { domain: BLOCKED_DOMAIN, attributes },
  );
  return fromBlocked(graph, graph.reshape(result, [batch, whole, height, width]), channels);
}

/** @param bias (sets · out). */
function wholeBias(graph: Graph, bias: Value, sets: number): Value {
  const channels = sizeOf(bias.shape) / sets;
  const whole = wholeBlocks(graph, channels);
  const all = padded(graph, graph.reshape(bias, [sets, channels]), [sets, whole]);
  return graph.reshape(all, [sets * whole]);
}

/** With zeros at the ends of its axes. */
function padded(graph: Graph, x: Value, shape: readonly number[]): Value {
  const missing = shape.map((size, axis) => size - x.shape[axis]!);
  if (missing.every((count) => count === 0)) return x;
  const pads = graph.int64([...missing.map(() => 0), ...missing]);
  return graph.add('Pad', [x, pads, graph.scalar(0)], { shape, dtype: x.dtype });
}

/** Sizes of a filter, channels in whole blocks. */
function sizesOf(graph: Graph, info: ConvInfo) {
  const { outChannels: outputs, inChannels: inputs, filterHeight, filterWidth } = info;
  const [allOutputs, allInputs] = [outputs, inputs].map((n) => wholeBlocks(graph, n)) as [
    number,
    number,
  ];
  return { outputs, inputs, taps: filterHeight * filterWidth, allOutputs, allInputs };
}

/**
 * What a convolution takes: [sets][out/b][in/b][taps][b of in][b of out], moved in runs of b outputs. Blocks that a filter fills in
 * part are filled up with zeros.
 */
function outputBlocks(graph: Graph, filter: Filter, info: ConvInfo): Value {
  if (filter.stack !== undefined) return fromStack(graph, filter.stack, info, outputBlocks);
  const block = graph.channelBlock!;
  const { sets } = info;
  const { outputs, inputs, taps, allOutputs, allInputs } = sizesOf(graph, info);
  const shape = [allInputs, taps, sets, allOutputs];
  const whole = padded(
    graph,
    graph.reshape(filter.outputsLast(), [inputs, taps, sets, outputs]),
    shape,
  );
  const runs = (sets * allOutputs) / block;
  const place = (run: number, group: number, tap: number, row: number) => {
    const input = group * block + row;
    return (input * taps + tap) * runs + run;
  };
  const counts = [runs, allInputs / block, taps, block] as const;
  const key = `output blocks ${shape.join()}`;
  return movedRuns(graph, whole, key, () => table(counts, place));
}

/**
 * What the convolution of an input gradient takes, inputs and outputs exchanged and the taps in reverse:
 * [sets][in/b][out/b][taps][b of out][b of in]. Blocks are filled up as in {@link outputBlocks}.
 */
function inputBlocks(graph: Graph, filter: Filter, info: ConvInfo): Value {
  if (filter.stack !== undefined) return fromStack(graph, filter.stack, info, inputBlocks);
  const block = graph.channelBlock!;
  const { sets } = info;
  const { outputs, inputs, taps, allOutputs, allInputs } = sizesOf(graph, info);
  const shape = [taps, sets, allOutputs, allInputs];
  const rows = graph.reshape(filter.tapsFirst(), [taps, sets, outputs, inputs]);
  const whole = padded(graph, rows, shape);
  const blocks = allInputs / block;
  const place = (run: number, group: number, tap: number, row: number) => {
    const [set, input] = [Math.floor(run / blocks), run % blocks];
    const output = set * allOutputs + group * block + row;
    return ((taps - 1 - tap) * sets * allOutputs + output) * blocks + input;
  };
  const counts = [sets * blocks, allOutputs / block, taps, block] as const;
  return movedRuns(graph, whole, `input blocks ${shape.join()}`, () => table(counts, place));
}

/** Filters of a stack are brought into blocks at once, which costs as much as one alone. */
function fromStack(
  graph: Graph,
  { whole, layers, layer }: FilterStack,
  info: ConvInfo,
  blocksOf: typeof outputBlocks,
): Value {
  const blocks = blocksOf(graph, whole, { ...info, sets: info.sets * layers });
  const [runs, block] = blocks.shape as [number, number];
  return slice(graph, blocks, [(layer * runs) / layers, 0], [runs / layers, block]);
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
