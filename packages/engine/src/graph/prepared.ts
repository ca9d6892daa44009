import type { Node, Value } from './graph.js';

/** Values that depend on weights and constants alone, found node by node. */
export class PreparedValues {
  readonly #made = new Set<Value>();

  has(value: Value | undefined): boolean {
    return (
      value === undefined ||
      value.constant !== undefined ||
      value.weight !== undefined ||
      this.#made.has(value)
    );
  }

  /** Takes the next node in topological order. @returns whether its results are such values. */
  add(node: Node): boolean {
    if (!node.inputs.every((input) => this.has(input))) return false;
    for (const output of node.outputs) this.#made.add(output);
    return true;
  }
}

/** Nodes that depend on weights and constants alone. @param nodes in topological order. */
export function preparedNodes(nodes: readonly Node[]): ReadonlySet<Node> {
  const prepared = new PreparedValues();
  return new Set(nodes.filter((node) => prepared.add(node)));
}
