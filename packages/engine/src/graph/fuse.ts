import { type Graph, type Node, sameShape, type Value } from './graph.js';

/**
 * Turns x + A·B into one product that starts from x (Gemm's third input), and x + scattered rows into a scatter that
 * starts from x: residual connections, sums of gradients and gradient accumulators then cost no pass of their own.
 */
export function fuseAddedProducts(graph: Graph): void {
  const uses = countUses(graph);
  const producers = new Map<string, Node>();
  const replaced = new Set<Node>();
  const nodes = graph.nodes.map((node) => {
    const fused = node.operator === 'Add' ? fuse(node, producers, uses) : undefined;
    if (fused !== undefined) replaced.add(fused.product);
    const result = fused?.node ?? node;
    for (const value of result.outputs) producers.set(value.name, result);
    return result;
  });
  const kept = nodes.filter((node) => !replaced.has(node));
  graph.nodes.splice(0, graph.nodes.length, ...kept);
}

/** The node that stands in for an addition, and the one that it makes superfluous. */
function fuse(
  add: Node,
  producers: ReadonlyMap<string, Node>,
  uses: ReadonlyMap<string, number>,
): { node: Node; product: Node } | undefined {
  const [a, b] = add.inputs as [Value, Value];
  for (const [summand, start] of [
    [b, a],
    [a, b],
  ] as const) {
    const product = producers.get(summand.name);
    if (product === undefined || uses.get(summand.name) !== 1) continue;
    if (!sameShape(start.shape, summand.shape)) continue;
    const inputs = startingFrom(product, start);
    if (inputs !== undefined)
      return { product, node: { ...product, inputs, outputs: add.outputs } };
  }
  return undefined;
}

/** Inputs with which a product, or a scattered sum into zeros, begins at `start` instead. */
function startingFrom(node: Node, start: Value): (Value | undefined)[] | undefined {
  if (node.operator === 'Gemm' && node.inputs.length === 2) return [...node.inputs, start];
  const sums = node.operator === 'ScatterND' && node.attributes['reduction'] === 'add';
  return sums && node.inputs[0]?.uniform === 0 ? [start, ...node.inputs.slice(1)] : undefined;
}

export function countUses(graph: Graph): Map<string, number> {
  const uses = new Map<string, number>();
  const count = (value: Value | undefined) => {
    if (value !== undefined) uses.set(value.name, (uses.get(value.name) ?? 0) + 1);
  };
  for (const node of graph.nodes) node.inputs.forEach(count);
  for (const output of graph.outputs) count(output.value);
  return uses;
}
