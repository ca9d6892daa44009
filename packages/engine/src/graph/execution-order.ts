import type { Graph, Node, Value } from './graph.js';
import { preparedNodes } from './prepared.js';

/** The node that makes each value. */
export function producersOf(nodes: readonly Node[]): Map<Value, Node> {
  return new Map(nodes.flatMap((node) => node.outputs.map((value) => [value, node] as const)));
}

/** The nodes that make what a node reads. */
function makersOf({ inputs }: Node, producers: ReadonlyMap<Value, Node>): Node[] {
  const makers: Node[] = [];
  for (const value of inputs) {
    const maker = value && producers.get(value);
    if (maker !== undefined) makers.push(maker);
  }
  return makers;
}

/**
 * The order in which ONNX Runtime runs the nodes of a file: backwards from those that no other node reads, the last one first, and
 * of what a node reads the later one in the file first. So a result is computed when the first node needs it, wherever it stands.
 * Source: Graph::ReverseDFSFrom and GraphViewer of ONNX Runtime.
 */
export function executionOrder({ nodes }: Pick<Graph, 'nodes'>): Node[] {
  const producers = producersOf(nodes);
  const places = new Map(nodes.map((node, index) => [node, index]));
  const byPlace = (a: Node, b: Node) => places.get(a)! - places.get(b)!;
  const read = new Set<Node>();
  const readBy = new Map<Node, readonly Node[]>();
  for (const node of nodes) {
    const made = makersOf(node, producers);
    for (const maker of made) read.add(maker);
    readBy.set(node, made.length < 2 ? made : [...new Set(made)].sort(byPlace));
  }
  const stack = nodes.filter((node) => !read.has(node)).map((node) => ({ node, isDone: false }));
  const seen = new Set<Node>();
  const order: Node[] = [];
  for (let next = stack.pop(); next !== undefined; next = stack.pop()) {
    const { node, isDone } = next;
    if (isDone) order.push(node);
    if (isDone || seen.has(node)) continue;
    seen.add(node);
    stack.push({ node, isDone: true });
    for (const input of readBy.get(node)!)
      if (!seen.has(input)) stack.push({ node: input, isDone });
  }
  return order;
}

/**
 * The same nodes with those that no other reads at the end, and of these the one first to run whose inputs come first: a loss before
 * the gradients, gradients of the top before those below. Else results wait for readers that nothing hurries.
 */
export function soonestFirst(nodes: readonly Node[]): Node[] {
  const producers = producersOf(nodes);
  const places = new Map(nodes.map((node, index) => [node, index]));
  const read = new Set(nodes.flatMap((node) => makersOf(node, producers)));
  const lastInput = (node: Node) =>
    Math.max(-1, ...makersOf(node, producers).map((made) => places.get(made)!));
  const ends = nodes.filter((node) => !read.has(node));
  return [
    ...nodes.filter((node) => read.has(node)),
    ...ends.toSorted((a, b) => lastInput(b) - lastInput(a)),
  ];
}

/**
 * Nodes that depend on weights alone, then the others. Of the inputs of a node ONNX Runtime computes the later one in the
 * file first: like this a weight is cast or rearranged right before its use, not all of them before the first product.
 */
export function weightsFirst(nodes: readonly Node[]): readonly Node[] {
  const early = preparedNodes(nodes);
  return [...early, ...nodes.filter((node) => !early.has(node))];
}
