import { BLOCKED_DOMAIN } from '../graph/choice.js';
import { type Graph, sizeOf, type Value } from '../graph/graph.js';
import { fromBlocked, prefersBlocked, toBlocked } from './blocked-layout.js';
import { isDifferentiating } from './differentiating.js';

/** Rows of a product from which rearranging the weight costs less than it saves. */
const MANY_ROWS = 256;

/**
 * Whether x·Wᵀ is written as a convolution of one pixel, which on some processors ONNX Runtime's blocked kernels run faster
 * than its matrix product. Products with a backward pass stay products: gradients accumulate into them.
 */
export function isBlockableProduct(graph: Graph, x: Value, weight: Value): boolean {
  const [outputs, inputs] = weight.shape as [number, number];
  const rows = sizeOf(x.shape) / inputs;
  if (isDifferentiating() || rows < MANY_ROWS) return false;
  const divides = (block: number) => inputs % block === 0 && outputs % block === 0;
  const size = { rows, channels: Math.sqrt(inputs * outputs) };
  return prefersBlocked(graph, 'product', size, divides);
}

/** @param x (rows, in). @param weight (out, in). @param bias (out). @returns (rows, out). */
export function blockedProduct(
  graph: Graph,
  x: Value,
  weight: Value,
  bias: Value | undefined,
): Value {
  const [rows, inputs] = x.shape as [number, number];
  const outputs = weight.shape[0]!;
  const image = toBlocked(graph, graph.reshape(x, [1, rows, 1, inputs]));
  const filter = blockedWeight(graph, weight);
  const attributes = {
    kernel_shape: [1, 1],
    strides: [1, 1],
    dilations: [1, 1],
    pads: [0, 0, 0, 0],
    group: 1,
  };
  const product = graph.add(
    'Conv',
    bias === undefined ? [image, filter] : [image, filter, bias],
    { shape: [1, outputs, rows, 1], dtype: 'float32' },
    { domain: BLOCKED_DOMAIN, attributes },
  );
  return graph.reshape(fromBlocked(graph, product), [rows, outputs]);
}

/**
 * A filter wants [out/b][in/b][b of in][b of out]. That is the blocked layout of an image with the outputs for channels and
 * the inputs for pixels, so ONNX Runtime's own rearrangement makes it, at the speed of memory.
 */
function blockedWeight(graph: Graph, weight: Value): Value {
  const [outputs, inputs] = weight.shape as [number, number];
  const plane = graph.reshape(weight, [1, outputs, 1, inputs]);
  const blocks = graph.add(
    'ReorderInput',
    [plane],
    { shape: plane.shape, dtype: 'float32' },
    { domain: BLOCKED_DOMAIN, attributes: { channels_last: 0 } },
  );
  return graph.reshape(blocks, [outputs, inputs, 1, 1]);
}
