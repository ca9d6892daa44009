import { type Graph, type Node, sizeOf } from './graph.js';

/** Floating-point operations (two per multiply-add) of the matrix products and convolutions of a graph. */
export function matrixFlops(graph: Pick<Graph, 'nodes'>): number {
  return graph.nodes.reduce((sum, node) => sum + flopsOf(node), 0);
}

function flopsOf(node: Node): number {
  const [a, b] = node.inputs;
  const output = sizeOf(node.outputs[0]!.shape);
  switch (node.operator) {
    case 'Gemm':
      return 2 * output * a!.shape[node.attributes['transA'] === 1 ? 0 : 1]!;
    case 'MatMul':
    case 'FusedMatMul':
      return 2 * output * a!.shape.at(node.attributes['transA'] === 1 ? -2 : -1)!;
    case 'Conv':
      return 2 * output * sizeOf(b!.shape.slice(1));
    case 'ConvTranspose':
      return 2 * sizeOf(a!.shape) * sizeOf(b!.shape.slice(1));
    default:
      return 0;
  }
}
