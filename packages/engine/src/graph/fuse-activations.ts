import { BLOCKED_DOMAIN } from './choice.js';
import { countUses } from './fuse.js';
import type { Graph, Node } from './graph.js';

/** Operators between a convolution and its activation that only move values. */
const MOVING = new Set(['Reshape', 'ReorderOutput']);

/**
 * Lets convolutions in the blocked layout apply the ReLU that alone reads their result: it then costs no pass of its own, and what
 * it is computed from is not kept. ONNX Runtime does so only with convolutions that it brings into the layout itself.
 */
export function fuseActivations(graph: Graph): void {
  const uses = countUses(graph);
  const producers = new Map(
    graph.nodes.flatMap((node) => node.outputs.map((value) => [value.name, node] as const)),
  );
  const changed = new Map<Node, Node | undefined>();
  for (const relu of graph.nodes) {
    if (relu.operator !== 'Relu') continue;
    const path = pathToConvolution(relu, producers, uses);
    if (path === undefined) continue;
    const [last] = path as [Node];
    const convolution = path.at(-1)!;
    changed.set(relu, undefined);
    changed.set(last, { ...last, outputs: relu.outputs });
    const active = changed.get(convolution) ?? convolution;
    const attributes = { ...convolution.attributes, activation: 'Relu' };
    changed.set(convolution, { ...active, attributes });
  }
  const nodes = graph.nodes.flatMap((node) =>
    changed.has(node) ? (changed.get(node) ?? []) : node,
  );
  graph.nodes.splice(0, graph.nodes.length, ...nodes);
}

/** The nodes from the activation's input up to the convolution that it is made of, each read once; undefined where there is none. */
function pathToConvolution(
  relu: Node,
  producers: ReadonlyMap<string, Node>,
  uses: ReadonlyMap<string, number>,
): Node[] | undefined {
  const path: Node[] = [];
  let value = relu.inputs[0]!;
  for (;;) {
    const node = producers.get(value.name);
    if (node === undefined || uses.get(value.name) !== 1) return undefined;
    path.push(node);
    if (isBlockedConvolution(node)) return path;
    if (!MOVING.has(node.operator)) return undefined;
    value = node.inputs[0]!;
  }
}

const isBlockedConvolution = ({ operator, domain, attributes }: Node): boolean =>
  operator === 'Conv' && domain === BLOCKED_DOMAIN && attributes['activation'] === undefined;
