import { producersOf, soonestFirst } from './execution-order.js';
import { matrixFlops } from './flops.js';
import type { Graph, Node, Value } from './graph.js';
import { FlowNetwork } from './min-cut.js';
import { bytesOf, type Peak, peakOf } from './peak-bytes.js';
import { removeUnused } from './unused.js';

/** Operators that pass once over what they read: computing them again costs little more than reading what they made. */
const CHEAP = new Set([
  ...['Add', 'Sub', 'Mul', 'Div', 'Neg', 'Abs', 'Sqrt', 'Reciprocal', 'Exp', 'Log', 'Pow', 'Erf'],
  ...['Sigmoid', 'Tanh', 'Relu', 'Clip', 'Min', 'Max', 'Where', 'Sin', 'Cos', 'Cast', 'Identity'],
  ...['Not', 'And', 'Or', 'Equal', 'Greater', 'GreaterOrEqual', 'Less', 'LessOrEqual', 'Sign'],
  ...['Reshape', 'Transpose', 'Slice', 'Concat', 'Expand', 'RotaryEmbedding', 'Gelu'],
  ...['ReduceSum', 'ReduceSumSquare', 'ReduceMean', 'ReduceMax', 'Softmax', 'LogSoftmax'],
]);
/** Batched products over few elements, such as the scores of attention. */
const PRODUCTS = new Set(['MatMul', 'FusedMatMul']);
const CHEAP_FLOPS_PER_BYTE = 64;

/** Values that save nothing worth a node. */
const SMALL_BYTES = 2 ** 16;

const isLarge = (value: Value): boolean => bytesOf(value) > SMALL_BYTES;

const isCheap = (node: Node): boolean => {
  if (node.outputs.length > 1) return false;
  if (CHEAP.has(node.operator)) return true;
  const flops = PRODUCTS.has(node.operator) ? matrixFlops({ nodes: [node] }) : Infinity;
  return flops <= CHEAP_FLOPS_PER_BYTE * bytesOf(node.outputs[0]!);
};

/**
 * Has results that lie idle at the peak of a run computed a second time where that is cheap: of what the forward pass leaves to
 * the backward pass, the smallest set that the rest follows from in cheap operations is kept. The graph is changed in place; what
 * it computes is the same.
 * Source: arXiv:1604.06174 (recomputation); the set is a smallest cut, as in min_cut_rematerialization_partition of PyTorch.
 */
export function recomputeCheap(graph: Graph): void {
  graph.nodes.splice(0, graph.nodes.length, ...soonestFirst(graph.nodes));
  if (!graph.nodes.some(({ outputs }) => outputs.some(isLarge))) return;
  const peak = peakOf(graph);
  const producers = producersOf(graph.nodes);
  // Outputs are there to the end.
  for (const { value } of graph.outputs) producers.delete(value);
  const idle = idleValues(peak).filter((value) => producers.has(value));
  const kept = smallestSet(idle, producers);
  const copies = new Copies(producers, kept);
  for (const value of idle) copies.of(value);
  const later = new Set(peak.order.slice(peak.index + 1));
  const nodes = graph.nodes.map((node) => (later.has(node) ? copies.reading(node) : node));
  graph.nodes.splice(0, graph.nodes.length, ...insertEarly(nodes, copies.nodes));
  removeUnused(graph);
}

/**
 * Nodes with copies among them, each right behind what it reads. Of what a node reads the later one in the file is computed first:
 * copies that stand early run late, right before their first reader.
 */
function insertEarly(nodes: readonly Node[], copies: readonly Node[]): Node[] {
  const places = new Map<Value, number>();
  nodes.forEach((node, index) => {
    for (const value of node.outputs) places.set(value, index);
  });
  const behind = new Map<number, Node[]>();
  for (const copy of copies) {
    const read = copy.inputs.map((value) => (value && places.get(value)) ?? START);
    const place = Math.max(START, ...read);
    places.set(copy.outputs[0]!, place);
    behind.set(place, [...(behind.get(place) ?? []), copy]);
  }
  const copiesAt = (place: number) => behind.get(place) ?? [];
  return [...copiesAt(START), ...nodes.flatMap((node, index) => [node, ...copiesAt(index)])];
}

/** The place before the first node. */
const START = -1;

/** What is made before the peak and read after it, but not at it. */
function idleValues({ order, index, lastRead }: Peak): Value[] {
  const made = order.slice(0, index).flatMap(({ outputs }) => outputs);
  const isIdle = (value: Value) => (lastRead.get(value) ?? 0) > index && isLarge(value);
  return made.filter(isIdle);
}

/** Of these values and what they are made from, the fewest bytes from which all of these follow in cheap operations. */
function smallestSet(wanted: readonly Value[], producers: ReadonlyMap<Value, Node>): Set<Value> {
  const network = new FlowNetwork();
  const [source, sink] = [network.vertex(), network.vertex()];
  const vertices = new Map<Value, { readonly into: number; readonly from: number }>();
  const enter = (value: Value): number => {
    const known = vertices.get(value);
    if (known !== undefined) return known.from;
    const [into, from] = [network.vertex(), network.vertex()];
    vertices.set(value, { into, from });
    network.edge(into, from, bytesOf(value));
    const node = producers.get(value)!;
    if (isCheap(node))
      for (const input of counted(node, producers)) network.edge(enter(input), into, Infinity);
    else network.edge(source, into, Infinity);
    return from;
  };
  for (const value of wanted) network.edge(enter(value), sink, Infinity);
  const near = network.sinkSide(source, sink);
  const isCut = ({ into, from }: { into: number; from: number }) =>
    near.has(from) && !near.has(into);
  return new Set([...vertices].flatMap(([value, ends]) => (isCut(ends) ? [value] : [])));
}

/** Inputs of a node that are computed and large; the others are at hand. */
const counted = (node: Node, producers: ReadonlyMap<Value, Node>): Value[] =>
  node.inputs.filter(
    (value): value is Value => value !== undefined && producers.has(value) && isLarge(value),
  );

/** Second computations of values. */
class Copies {
  readonly nodes: Node[] = [];
  readonly #producers: ReadonlyMap<Value, Node>;
  readonly #kept: ReadonlySet<Value>;
  readonly #copies = new Map<Value, Value>();

  constructor(producers: ReadonlyMap<Value, Node>, kept: ReadonlySet<Value>) {
    this.#producers = producers;
    this.#kept = kept;
  }

  /** The same value, computed again unless it is kept. */
  of(value: Value): Value {
    const known = this.#copies.get(value);
    if (known !== undefined) return known;
    const node = this.#producers.get(value);
    if (node === undefined || this.#kept.has(value) || !isLarge(value)) return value;
    const copy = { ...value, name: `${value.name}_again` };
    const inputs = node.inputs.map((input) => input && this.of(input));
    this.nodes.push({ ...node, inputs, outputs: [copy] });
    this.#copies.set(value, copy);
    return copy;
  }

  /** A node that reads the copies of what it read. */
  reading(node: Node): Node {
    const inputs = node.inputs.map((input) => input && (this.#copies.get(input) ?? input));
    return inputs.every((input, i) => input === node.inputs[i]) ? node : { ...node, inputs };
  }
}
