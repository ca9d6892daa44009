import { type Graph, type Node, sameShape } from './graph.js';

/** Operators that read element i only to write element i, so that the result may lie over an input of equal shape. */
const ELEMENTWISE = new Set([
  'Add',
  'Sub',
  'Mul',
  'Div',
  'Where',
  'Sqrt',
  'Neg',
  'Clip',
  'Identity',
  'Cast',
]);

/** Whether an output may be written over an input of the graph, both by name. */
export type InPlaceRule = (inputName: string, outputName: string) => boolean;

/**
 * The rule of a graph, which is read once for all of its outputs. An output may be written over an input when every reader of
 * the input has finished before the output is written. That is certain when each reader feeds, directly or indirectly, the node
 * that makes the output, and that node itself is elementwise, or a product or scatter that starts from the input.
 */
export function inPlaceRule(graph: Graph): InPlaceRule {
  const inputs = new Map(graph.inputs.map((value) => [value.name, value]));
  const { producers, readers } = edges(graph);
  return (inputName, outputName) => {
    const input = inputs.get(inputName);
    const last = producers.get(outputName);
    if (input === undefined || last === undefined || !mayOverwrite(last, inputName)) return false;
    const { shape, dtype } = last.outputs[0]!;
    if (!sameShape(shape, input.shape) || dtype !== input.dtype) return false;
    const others = (readers.get(inputName) ?? []).filter((node) => node !== last);
    if (others.length === 0) return true;
    const feeding = ancestors(last, producers);
    return others.every((node) => feeding.has(node));
  };
}

/** Which node makes a value, and which nodes read it. */
function edges(graph: Graph) {
  const producers = new Map<string, Node>();
  const readers = new Map<string, Node[]>();
  for (const node of graph.nodes) {
    for (const { name } of node.outputs) producers.set(name, node);
    for (const value of node.inputs) {
      if (value === undefined) continue;
      const known = readers.get(value.name);
      if (known === undefined) readers.set(value.name, [node]);
      else known.push(node);
    }
  }
  return { producers, readers };
}

/** A product or a scatter may overwrite what it starts from, which it reads before anything is written. */
function mayOverwrite(node: Node, inputName: string): boolean {
  if (ELEMENTWISE.has(node.operator)) return true;
  const start = { Gemm: 2, ScatterND: 0 }[node.operator];
  const readers = node.inputs.flatMap((value, i) => (value?.name === inputName ? [i] : []));
  return readers.length === 1 && readers[0] === start;
}

/** The node itself and everything that it depends on. */
function ancestors(last: Node, producers: ReadonlyMap<string, Node>): Set<Node> {
  const found = new Set<Node>([last]);
  const open = [last];
  for (let node = open.pop(); node !== undefined; node = open.pop()) {
    for (const value of node.inputs) {
      const producer = value === undefined ? undefined : producers.get(value.name);
      if (producer === undefined || found.has(producer)) continue;
      found.add(producer);
      open.push(producer);
    }
  }
  return found;
}
