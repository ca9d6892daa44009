import type { Graph } from './graph.js';

/** Drops nodes whose results nobody reads, such as values that only an unused gradient needed, and weights. */
export function removeUnused(graph: Graph): void {
  const needed = new Set(graph.outputs.map((output) => output.value.name));
  const kept = graph.nodes.toReversed().filter((node) => {
    if (!node.outputs.some((value) => needed.has(value.name))) return false;
    for (const value of node.inputs) if (value !== undefined) needed.add(value.name);
    return true;
  });
  graph.nodes.splice(0, graph.nodes.length, ...kept.reverse());
  const inputs = graph.inputs.filter(
    ({ name, weight }) => weight === undefined || needed.has(name),
  );
  graph.inputs.splice(0, graph.inputs.length, ...inputs);
}
