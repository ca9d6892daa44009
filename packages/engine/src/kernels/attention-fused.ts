import type { Graph, Value } from '../graph/graph.js';

/** What attention is computed of: (heads, T, hd), (kvHeads, S, hd), (kvHeads, S, vd), and where there is one a mask. */
export interface AttentionInputs {
  readonly queries: Value;
  readonly keys: Value;
  readonly values: Value;
  readonly mask?: Value | undefined;
}

export interface AttentionAttributes {
  readonly scale: number;
  readonly causal: boolean;
}

/** Channels of a head come to the kernel in pieces of so many. */
const PIECE = 8;
/** With fewer keys ONNX Runtime stores the scores of float32 all the same. */
const FEWEST_KEYS = 256;

/**
 * Whether one kernel of a GPU computes it (flash attention, arXiv:2205.14135). Of a single row or of few keys the scores are
 * few, and grouped heads need no copies; where keys precede the first query, a causal kernel may count from either end.
 */
export function isFused(
  graph: Graph,
  { queries, keys, values }: AttentionInputs,
  causal: boolean,
): boolean {
  const [rows, columns] = [queries.shape[1]!, keys.shape[1]!];
  const fits = queries.shape[2]! % PIECE === 0 && values.shape[2]! % PIECE === 0;
  const long = rows > 1 && columns >= FEWEST_KEYS;
  return graph.fusesAttention && fits && long && (!causal || rows === columns);
}

/**
 * ONNX Runtime's operator wants (batch, tokens, heads·hd): with each head in a batch of its own, that is our layout. In other
 * layouts, and with grouped heads, its provider for NVIDIA GPUs stores scores in float32.
 */
export function fusedAttention(
  graph: Graph,
  { queries, keys, values, mask }: AttentionInputs,
  { scale, causal }: AttentionAttributes,
): Value {
  const heads = queries.shape[0]!;
  const inputs = [queries, repeated(graph, keys, heads), repeated(graph, values, heads)];
  const bias =
    mask === undefined
      ? []
      : [undefined, undefined, biasOf(graph, mask, queries.shape[1]!, keys.shape[1]!)];
  const shape = [...queries.shape.slice(0, 2), values.shape[2]!];
  const attributes = {
    num_heads: 1,
    scale: { float: scale },
    ...(causal && { unidirectional: 1 }),
  };
  return graph.add(
    'MultiHeadAttention',
    [...inputs, ...bias],
    { shape, dtype: queries.dtype },
    { domain: 'com.microsoft', attributes },
  );
}

/** (kvHeads, S, d) → (heads, S, d): the copies of a head lie one after the other. */
function repeated(graph: Graph, x: Value, heads: number): Value {
  const [kvHeads, tokens, width] = x.shape as [number, number, number];
  const single = graph.reshape(x, [kvHeads, 1, tokens, width]);
  const copies = graph.expand(single, [kvHeads, heads / kvHeads, tokens, width]);
  return graph.reshape(copies, [heads, tokens, width]);
}

/** (T, S) or (heads, T, S), where axes may be 1 → (heads or 1, 1, T, S). */
function biasOf(graph: Graph, mask: Value, rows: number, columns: number): Value {
  const lead = mask.shape.length === 3 ? mask.shape[0]! : 1;
  const shaped = graph.reshape(mask, [lead, 1, ...mask.shape.slice(-2)]);
  return graph.expand(shaped, [lead, 1, rows, columns]);
}
