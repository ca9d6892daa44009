/**
 * ONNX Runtime's blocked layout (NCHWc): an image (N, h, w, C) as [N][C/b][h·w][b], which its graph writes as (N, C, h, w).
 * Convolutions in this layout run at one and a half times the speed of its matrix products.
 */
import { BLOCK_SIZES, BLOCKED, BLOCKED_DOMAIN, type KernelSize } from '../graph/choice.js';
import { type Graph, type Node, sizeOf, type Value } from '../graph/graph.js';
import { isDifferentiating } from './differentiating.js';

/** Blocked forms of values that have one, or `undefined` for values that are known to have none. */
const forms = new WeakMap<Graph, Map<Value, Value | undefined>>();

/**
 * @param image (N, h, w, C). @returns its blocked form, shape (N, C', h, w) with C in whole blocks: without work where the image came out of the
 *   layout and only elementwise operations lie between.
 */
export function toBlocked(graph: Graph, image: Value): Value {
  const [batch, height, width, channels] = image.shape as [number, number, number, number];
  const shape = [batch, wholeBlocks(graph, channels), height, width];
  // A backward pass reads the plain values too; then both forms would be computed.
  const known = isDifferentiating() ? undefined : blockedForm(graph, graph.unshaped(image), shape);
  if (known !== undefined) return graph.reshape(known, shape);
  if (isOneBlock(graph, channels)) return graph.reshape(image, shape);
  return graph.add(
    'ReorderInput',
    [image],
    { shape, dtype: 'float32' },
    { domain: BLOCKED_DOMAIN, attributes: { channels_last: 1 } },
  );
}

/** @param blocked (N, C', h, w) in the layout. @param channels C, of which C' are whole blocks. @returns the image (N, h, w, C). */
export function fromBlocked(graph: Graph, blocked: Value, channels = blocked.shape[1]!): Value {
  const [batch, , height, width] = blocked.shape as [number, number, number, number];
  const shape = [batch, height, width, channels];
  if (isOneBlock(graph, channels)) return graph.reshape(blocked, shape);
  const image = graph.add(
    'ReorderOutput',
    [blocked],
    { shape, dtype: 'float32' },
    { domain: BLOCKED_DOMAIN, attributes: { channels, channels_last: 1 } },
  );
  formsOf(graph).set(image, blocked);
  return image;
}

/**
 * The planes of an image that is in the layout anyway, or one block wide: several times faster than a transposition, which runs on one
 * thread. @param image (N, h, w, C). @returns (N, C, h, w), without blocks.
 */
export const planesFromBlocked = (graph: Graph, image: Value): Value =>
  planesOfBlocked(graph, toBlocked(graph, image), image.shape[3]!);

/** @param blocked (N, C', h, w) in the layout. @param channels C, of which C' are whole blocks. @returns (N, C, h, w), without blocks. */
export function planesOfBlocked(graph: Graph, blocked: Value, channels: number): Value {
  const [batch, , height, width] = blocked.shape as [number, number, number, number];
  return graph.add(
    'ReorderOutput',
    [blocked],
    { shape: [batch, channels, height, width], dtype: 'float32' },
    { domain: BLOCKED_DOMAIN, attributes: { channels, channels_last: 0 } },
  );
}

/** [N][1][h·w][b] is (N, h, w, b): nothing has to move. */
const isOneBlock = (graph: Graph, channels: number): boolean => channels === graph.channelBlock;

function formsOf(graph: Graph): Map<Value, Value | undefined> {
  const known = forms.get(graph) ?? new Map<Value, Value | undefined>();
  forms.set(graph, known);
  return known;
}

const UNARY = new Set(['Relu', 'Gelu', 'QuickGelu']);
const BINARY = new Set(['Add', 'Mul']);

/** @param value a value that is no reshape of another. @param shape (N, C, h, w) that the form is to have, in any h and w. */
function blockedForm(graph: Graph, value: Value, shape: readonly number[]): Value | undefined {
  const known = formsOf(graph);
  const form = known.has(value) ? known.get(value) : derivedForm(graph, value, shape);
  known.set(value, form);
  const fits = form?.shape[0] === shape[0] && form?.shape[1] === shape[1];
  return fits ? form : undefined;
}

/** The operation that made a value, on blocked forms of its inputs; undefined where one has none. */
function derivedForm(graph: Graph, value: Value, shape: readonly number[]): Value | undefined {
  const node = graph.producerOf(value);
  if (node?.operator === 'Transpose') return formOfGroups(graph, node);
  if (node === undefined || !isElementwise(node)) return undefined;
  const inputs = node.inputs.map((input) => blockedForm(graph, graph.unshaped(input!), shape));
  if (inputs.includes(undefined)) return undefined;
  const first = inputs[0]!;
  const same = (inputs as Value[]).map((input) => graph.reshape(input, first.shape));
  const { domain, attributes } = node;
  return graph.add(
    node.operator,
    same,
    { shape: first.shape, dtype: 'float32' },
    { domain, attributes },
  );
}

/**
 * Takes groups of channels apart, as attention does with its heads: (…, g, c) → (g, …, c). In the layout groups lie one
 * after the other already, so that leaving it brings them into place.
 * @returns undefined where the permutation is another one, or the value has no blocked form.
 */
export function groupsFirst(
  graph: Graph,
  x: Value,
  permutation: readonly number[],
): Value | undefined {
  const last = x.shape.length - 1;
  const isGrouping = permutation.join() === [last - 1, ...ascending(0, last - 1), last].join();
  if (!isGrouping || last < 2 || isDifferentiating()) return undefined;
  const [groups, channels] = x.shape.slice(-2) as [number, number];
  const rows = sizeOf(x.shape) / (groups * channels);
  if (!fillsBlocks(graph, channels)) return undefined;
  const form = blockedForm(graph, graph.unshaped(x), [1, groups * channels, rows, 1]);
  if (form === undefined) return undefined;
  const apart = fromBlocked(graph, graph.reshape(form, [groups, channels, rows, 1]));
  const shape = permutation.map((axis) => x.shape[axis]!);
  return graph.reshape(apart, shape);
}

/** The reverse: (g, …, c) that was transposed to (…, g, c) enters the layout group by group. */
function formOfGroups(graph: Graph, { inputs, attributes }: Node): Value | undefined {
  const [x] = inputs as [Value];
  const last = x.shape.length - 1;
  const permutation = [...ascending(1, last), 0, last].join();
  if ((attributes['perm'] as readonly number[]).join() !== permutation || last < 2)
    return undefined;
  const [groups, channels] = [x.shape[0]!, x.shape[last]!];
  const rows = sizeOf(x.shape) / (groups * channels);
  if (!fillsBlocks(graph, channels)) return undefined;
  const blocked = graph.add(
    'ReorderInput',
    [graph.reshape(x, [groups, rows, 1, channels])],
    { shape: [groups, channels, rows, 1], dtype: 'float32' },
    { domain: BLOCKED_DOMAIN, attributes: { channels_last: 1 } },
  );
  return graph.reshape(blocked, [1, groups * channels, rows, 1]);
}

const ascending = (from: number, to: number): number[] =>
  Array.from({ length: to - from }, (_, i) => from + i);

/** So many channels, or with zeros behind them as many as fill their last block: `ReorderInput` adds the zeros. */
export const wholeBlocks = (graph: Graph, channels: number): number =>
  Math.ceil(channels / graph.channelBlock!) * graph.channelBlock!;

/**
 * Whether an operation is to be written in the layout: this processor has it, and runs this kind faster in it.
 * @param fits whether blocks of a size suit the operation.
 */
export function prefersBlocked(
  graph: Graph,
  kind: string,
  size: KernelSize,
  fits: (block: number) => boolean,
): boolean {
  const { choice } = graph;
  if (choice === undefined) {
    if (!graph.withoutCpuOperators && BLOCK_SIZES.some(fits))
      graph.alternatives.push({ kind, size });
    return false;
  }
  return choice.block !== undefined && fits(choice.block) && choice.of(kind, size) === BLOCKED;
}

/** Whether so many channels are whole blocks of this machine's layout, if it has one. */
const fillsBlocks = (graph: Graph, channels: number): boolean =>
  graph.channelBlock !== undefined && channels % graph.channelBlock === 0;

/** Whether a node treats every element alike, without broadcasting. */
function isElementwise({ operator, inputs }: Node): boolean {
  if (UNARY.has(operator)) return true;
  const [a, b] = inputs;
  return BINARY.has(operator) && a!.shape.join() === b!.shape.join();
}
