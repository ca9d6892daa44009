import { producersOf } from './execution-order.js';
import { type Graph, type Node, sizeOf, type Value } from './graph.js';
import { preparedNodes } from './prepared.js';

/** A part of a graph that is a graph of its own: with what it reads from outside, and what others read of it. */
export type Piece = Pick<Graph, 'nodes' | 'inputs' | 'outputs'>;

/** The stages of a graph run one after the other, the pieces of a stage at the same time. */
export type Stages = readonly (readonly Piece[])[];

/**
 * A graph in stages: by turns one piece, and up to `count` pieces to which the nodes of `graph.dealt` are dealt. What
 * depends on weights alone is a part of every piece that reads it: whoever multiplies by a weight has also made it float32.
 */
export function stagesOf(graph: Graph, count: number): Stages {
  const outputs = new Set(graph.outputs.map(({ value }) => value));
  const prepared = preparedNodes(graph.nodes);
  const isRepeated = (node: Node) =>
    prepared.has(node) && !node.outputs.some((value) => outputs.has(value));
  const repeated = graph.nodes.filter(isRepeated);
  const pieces = inStages(
    graph.nodes.filter((node) => !isRepeated(node)),
    graph,
  ).map((nodes) =>
    deal(nodes, graph.dealt.has(nodes[0]!.outputs[0]!) ? count : 1).map((own) =>
      withRepeated(own, repeated),
    ),
  );
  const read = readFromOutside(pieces.flat());
  for (const value of outputs) read.add(value);
  return pieces.map((stage) => stage.map((nodes) => pieceOf(nodes, read)));
}

/** Nodes by the stage in which they run: a node that is dealt begins a stage, and so does what reads its result. */
function inStages(nodes: readonly Node[], { dealt }: Graph): Node[][] {
  const producers = producersOf(nodes);
  const depths = new Map<Node, number>();
  const stages: Node[][] = [];
  const isDealt = (node: Node) => Number(dealt.has(node.outputs[0]!));
  for (const node of nodes) {
    const makers = node.inputs.flatMap((value) => producers.get(value!) ?? []);
    const depth = Math.max(0, ...makers.map((maker) => depths.get(maker)! + isDealt(maker)));
    depths.set(node, depth);
    const place = 2 * depth + isDealt(node);
    stages[place] = [...(stages[place] ?? []), node];
  }
  return stages.filter((stage) => stage !== undefined);
}

/** Deals nodes to pieces, each to the one that has the least to read so far. */
function deal(nodes: readonly Node[], count: number): Node[][] {
  const pieces = Array.from({ length: count }, () => ({ own: [] as Node[], elements: 0 }));
  for (const node of nodes) {
    const piece = pieces.reduce((least, each) => (each.elements < least.elements ? each : least));
    piece.own.push(node);
    piece.elements += Math.max(...node.inputs.map((value) => sizeOf(value?.shape ?? [])));
  }
  return pieces.flatMap(({ own }) => (own.length === 0 ? [] : [own]));
}

/** @param repeated in topological order. */
function withRepeated(own: readonly Node[], repeated: readonly Node[]): Node[] {
  const read = new Set(own.flatMap(({ inputs }) => inputs));
  const before = repeated.toReversed().filter(({ inputs, outputs }) => {
    if (!outputs.some((value) => read.has(value))) return false;
    for (const value of inputs) read.add(value);
    return true;
  });
  return [...before.reverse(), ...own];
}

/** What pieces read that they do not make themselves, constants apart. */
function readFromOutside(pieces: readonly (readonly Node[])[]): Set<Value> {
  return new Set(pieces.flatMap(inputsOf));
}

function inputsOf(nodes: readonly Node[]): Value[] {
  const made = new Set<Value | undefined>(nodes.flatMap(({ outputs }) => outputs));
  const read = new Set(nodes.flatMap(({ inputs }) => inputs));
  return [...read].flatMap((value) =>
    value === undefined || value.constant !== undefined || made.has(value) ? [] : [value],
  );
}

function pieceOf(nodes: readonly Node[], read: ReadonlySet<Value>): Piece {
  const outputs = nodes.flatMap((node) => node.outputs.filter((value) => read.has(value)));
  return {
    nodes: [...nodes],
    inputs: inputsOf(nodes),
    outputs: outputs.map((value) => ({ name: value.name, value })),
  };
}
