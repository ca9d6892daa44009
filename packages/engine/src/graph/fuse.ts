import { type Graph, type Node, sameShape, type Value } from './graph.js';

/**
 * Turns x + A·B into one product that starts from x (Gemm's third input): residual connections, sums of gradients and
 * gradient accumulators then cost no pass of their own.
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

/** The product that stands in for an addition, and the plain product that it makes superfluous. */
function fuse(
  add: Node,
  producers: ReadonlyMap<string, Node>,
  uses: ReadonlyMap<string, number>,
): { node: Node; product: Node } | undefined {
  const [a, b] = add.inputs as [Value, Value];
  for (const [product, start] of [
    [b, a],
    [a, b],
  ] as const) {
    const gemm = producers.get(product.name);
    const plain = gemm?.operator === 'Gemm' && gemm.inputs.length === 2;
    if (!plain || uses.get(product.name) !== 1) continue;
    if (!sameShape(start.shape, product.shape)) continue;
    return {
      product: gemm,
      node: { ...gemm, inputs: [...gemm.inputs, start], outputs: add.outputs },
    };
  }
  return undefined;
}

function countUses(graph: Graph): Map<string, number> {
  const uses = new Map<string, number>();
  const count = (value: Value | undefined) => {
    if (value !== undefined) uses.set(value.name, (uses.get(value.name) ?? 0) + 1);
  };
  for (const node of graph.nodes) node.inputs.forEach(count);
  for (const output of graph.outputs) count(output.value);
  return uses;
}
