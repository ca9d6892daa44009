import type { Node, Value } from './graph.js';

/** Nodes that depend on weights and constants alone. @param nodes in topological order. */
export function preparedNodes(nodes: readonly Node[]): ReadonlySet<Node> {
  const prepared = new Set<Value>();
  const isPrepared = (value: Value | undefined) =>
    value === undefined ||
    value.constant !== undefined ||
    value.weight !== undefined ||
    prepared.has(value);
  const found = nodes.filter((node) => {
    if (!node.inputs.every(isPrepared)) return false;
    for (const output of node.outputs) prepared.add(output);
    return true;
  });
  return new Set(found);
}
