import { IN_PIECES, type KernelSize, SINGLE_THREADED } from '../graph/choice.js';
import { type Graph, sizeOf, type Value } from '../graph/graph.js';
import { isDifferentiating } from './differentiating.js';
import { binary } from './elementwise.js';
import { concat } from './shape.js';

/** Rows up to which turning a weight into float32 costs more than its product. */
const FEW_ROWS = 32;
/**
 * Elements of a weight that become float32 at a time: 4 MiB, which stay in the cache until the product has read them.
 * Smaller pieces do not pay for two threads.
 */
const CHUNK_ELEMENTS = 2 ** 20;
/** Rows of a chunk are a multiple of this, as wide as the products of ONNX Runtime are. */
const ROW_MULTIPLE = 16;

/**
 * Whether x·Wᵀ reads W in chunks: a weight in 16 bits, larger than one chunk, and few rows, as in a step of decoding. As a
 * whole it would be written to memory as float32 and read again at every step: ten bytes of traffic a weight instead of two.
 */
export function isChunkedProduct(graph: Graph, x: Value, weight: Value): boolean {
  const stored = graph.storedWeight(weight);
  if (stored === undefined || stored.dtype === 'float32') return false;
  if (graph.withoutCpuOperators || isDifferentiating()) return false;
  return sizeOf(x.shape) / x.shape.at(-1)! <= FEW_ROWS && sizeOf(weight.shape) > CHUNK_ELEMENTS;
}

/** @param x (rows, in). @param weight (out, in). @param bias (out). @returns (rows, out). */
export function chunkedProduct(
  graph: Graph,
  x: Value,
  weight: Value,
  bias: Value | undefined,
): Value {
  const [outputs, inputs] = weight.shape as [number, number];
  chooseThreads(graph, { rows: x.shape[0]!, channels: Math.sqrt(outputs * inputs) });
  const parts = chunksOf(outputs, inputs).map(([first, count]) => {
    const rows = graph.weightRows(weight, first, count)!;
    const type = { shape: [x.shape[0]!, count], dtype: 'float32' } as const;
    const part = graph.add('Gemm', [x, rows], type, { attributes: { transA: 0, transB: 1 } });
    graph.dealt.add(part);
    return part;
  });
  const product = concat(graph, parts, 1);
  return bias === undefined ? product : binary(graph, 'Add', product, bias);
}

/** Kind under which the threads of such products are measured. */
export const STORED_PRODUCT = 'stored-product';

/**
 * ONNX Runtime casts on one thread and multiplies on all. Where cores hand values to each other slowly, reading half of a
 * chunk from the core that made it takes longer than its product: then one thread does both, or each thread with chunks of its own.
 */
function chooseThreads(graph: Graph, size: KernelSize): void {
  const { choice } = graph;
  if (choice === undefined) graph.alternatives.push({ kind: STORED_PRODUCT, size });
  else graph.threading = THREADING[choice.of(STORED_PRODUCT, size) ?? ''] ?? graph.threading;
}

const THREADING: Readonly<Record<string, Graph['threading']>> = {
  [SINGLE_THREADED]: 'single',
  [IN_PIECES]: 'in-pieces',
};

/** First row and number of rows of each chunk; of equal size but for the last, and an even number for pairs of threads. */
function chunksOf(outputs: number, inputs: number): [first: number, count: number][] {
  const chunks = 2 * Math.ceil((outputs * inputs) / (2 * CHUNK_ELEMENTS));
  const size = Math.ceil(outputs / chunks / ROW_MULTIPLE) * ROW_MULTIPLE;
  const firsts = Array.from({ length: Math.ceil(outputs / size) }, (_, i) => i * size);
  return firsts.map((first) => [first, Math.min(size, outputs - first)]);
}
