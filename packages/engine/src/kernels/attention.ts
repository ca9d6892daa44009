import type { Graph, Value } from '../graph/graph.js';
import { causalMask } from '../ops/attention.js';
import {
  type AttentionAttributes,
  type AttentionInputs,
  fusedAttention,
  isFused,
} from './attention-fused.js';
import { isDifferentiating } from './differentiating.js';
import { binary, like } from './elementwise.js';
import { matMul } from './matmul.js';
import { reduce } from './reduce.js';
import { defineKernel, type Emit } from './registry.js';
import { concat, slice } from './shape.js';

/** A range of query rows and the keys they may see. */
interface Tile {
  readonly from: number;
  readonly to: number;
  readonly keys: number;
}

/** Queries are cut into at most this many tiles under a causal mask; what lies above the diagonal is not computed. */
const CAUSAL_TILES = 8;
/** With a backward pass, which sums the gradients of all tiles. */
const DIFFERENTIATED_TILES = 4;
const SMALLEST_TILE = 64;
/** Scores of a tile that a backward pass computes again: float32, 64 MiB. */
const RECOMPUTED_SCORES = 2 ** 24;

/** Tiles of the rows of a sequence, at most so many. */
function tilesOf(rows: number, keys: number, causal: boolean, most: number): Tile[] {
  const count = Math.max(1, Math.min(most, Math.floor(rows / SMALLEST_TILE)));
  const edges = Array.from({ length: count + 1 }, (_, i) => Math.round((i * rows) / count));
  return edges.slice(1).map((to, i) => ({
    from: edges[i]!,
    to,
    keys: causal ? keys - rows + to : keys,
  }));
}

const rowsOf = (graph: Graph, x: Value, from: number, to: number) =>
  slice(graph, x, [0, from, 0], [x.shape[0]!, to - from, x.shape[2]!]);

/** (heads, n, d) → (kvHeads, groups·n, d): the query heads that share keys become rows of one product. */
const grouped = (graph: Graph, x: Value, kvHeads: number) =>
  graph.reshape(x, [kvHeads, (x.shape[0]! / kvHeads) * x.shape[1]!, x.shape[2]!]);

/** Softmax of the scores of one tile, (heads, rows, keys), from its queries. Equal calls share their nodes. */
function probabilities(
  graph: Graph,
  queries: Value,
  keys: Value,
  tile: Tile,
  mask: Value | undefined,
  attributes: AttentionAttributes,
): Value {
  const rows = tile.to - tile.from;
  const q = grouped(graph, queries, keys.shape[0]!);
  const k = rowsOf(graph, keys, 0, tile.keys);
  const products = matMul(graph, q, k, { transposeB: true, alpha: attributes.scale });
  let scores = graph.reshape(products, [queries.shape[0]!, rows, tile.keys]);
  if (mask !== undefined) scores = binary(graph, 'Add', scores, maskOf(graph, mask, tile));
  if (attributes.causal) scores = binary(graph, 'Add', scores, tileMask(graph, rows, tile.keys));
  return graph.add('Softmax', [scores], like(scores), { attributes: { axis: 2 } });
}

/** The part of a (T, S) mask that concerns a tile, where either side may be 1 for all. */
function maskOf(graph: Graph, mask: Value, { from, to, keys }: Tile): Value {
  const [rows, columns] = mask.shape.slice(-2) as [number, number];
  const lead = mask.shape.slice(0, -2);
  const begin = [...lead.map(() => 0), rows === 1 ? 0 : from, 0];
  const size = [...lead, rows === 1 ? 1 : to - from, columns === 1 ? 1 : keys];
  return slice(graph, mask, begin, size);
}

const masks = new WeakMap<Graph, Map<string, Value>>();

/** The causal mask of one tile; tiles of equal size share a constant. */
function tileMask(graph: Graph, rows: number, keys: number): Value {
  const known = masks.get(graph) ?? new Map<string, Value>();
  masks.set(graph, known);
  const key = `${rows}x${keys}`;
  const mask = known.get(key) ?? graph.constant(causalMask(rows, keys, 0), [rows, keys], 'float32');
  known.set(key, mask);
  return mask;
}

/** Scores below which one pass over them costs less than cutting them into tiles. */
const LARGE_SCORES = 2 ** 22;

/**
 * Whether the scores are to be computed tile by tile and never stored (flash attention, arXiv:2205.14135). A backward
 * pass reads the probabilities of the forward pass, so there they are stored once.
 */
function worksInTiles(
  graph: Graph,
  [queries, keys, values]: readonly [Value, Value, Value],
  causal: boolean,
): boolean {
  const sameWidth = values.shape[2] === queries.shape[2];
  const [heads, rows] = queries.shape as [number, number, number];
  const fits = !graph.withoutCpuOperators && !causal && keys.shape[0] === heads && sameWidth;
  return fits && !isDifferentiating() && heads * rows * keys.shape[1]! >= LARGE_SCORES;
}

/** ONNX Runtime's operator wants (batch, tokens, heads·hd): with each head in a batch of its own, that is our layout. */
function flashAttention(graph: Graph, inputs: readonly Value[], scale: number): Value {
  const type = { shape: inputs[0]!.shape, dtype: 'float32' } as const;
  const attributes = { num_heads: 1, scale: { float: scale } };
  return graph.add('MultiHeadAttention', inputs, type, { domain: 'com.microsoft', attributes });
}

const forward: Emit = (graph, inputs, attributes) => {
  const [queries, keys, values, mask] = inputs as [Value, Value, Value, Value | undefined];
  if (isFused(graph, { queries, keys, values }, attributes.causal))
    return fusedAttention(graph, { queries, keys, values, mask }, attributes);
  if (mask === undefined && worksInTiles(graph, [queries, keys, values], attributes.causal)) {
    return flashAttention(graph, [queries, keys, values], attributes.scale);
  }
  const { causal } = attributes;
  const most = isDifferentiating() ? DIFFERENTIATED_TILES : CAUSAL_TILES;
  const tiles = tilesOf(queries.shape[1]!, keys.shape[1]!, causal, causal ? most : 1);
  const parts = tiles.map((tile) => {
    const own = rowsOf(graph, queries, tile.from, tile.to);
    const weights = probabilities(graph, own, keys, tile, mask, attributes);
    const mixed = matMul(
      graph,
      grouped(graph, weights, keys.shape[0]!),
      rowsOf(graph, values, 0, tile.keys),
    );
    return graph.reshape(mixed, [queries.shape[0]!, tile.to - tile.from, values.shape[2]!]);
  });
  return concat(graph, parts, 1);
};

defineKernel('Attention', ['queries', 'keys', 'values'], forward);
defineKernel('MaskedAttention', ['queries', 'keys', 'values', 'mask'], forward);

/**
 * With P = softmax(S), O = P·V and D = Σ dO·O per row (equal to Σ dP·P):
 * dV = Pᵀ·dO, dS = P ⊙ (dO·Vᵀ − D), dQ = scale·dS·K, dK = scale·dSᵀ·Q.
 */
defineKernel(
  'AttentionGradient',
  ['queries', 'keys', 'values', 'output', 'dy', 'mask'],
  (graph, inputs, attributes) => {
    const [queries, keys, values, output, dy, mask] = inputs as Value[];
    const rowDots = reduce(graph, 'ReduceSum', binary(graph, 'Mul', dy!, output!), -1, true);
    const given = { queries: queries!, keys: keys!, values: values!, dy: dy!, rowDots, mask };
    return isFused(graph, given, attributes.causal)
      ? recomputedGradient(graph, given, attributes)
      : sharedGradient(graph, given, attributes);
  },
);

/** From the probabilities of the forward pass: equal nodes are shared. */
function sharedGradient(graph: Graph, inputs: TileInputs, attributes: AttentionAttributes) {
  const { causal } = attributes;
  const [rows, columns] = [inputs.queries.shape[1]!, inputs.keys.shape[1]!];
  const tiles = tilesOf(rows, columns, causal, causal ? DIFFERENTIATED_TILES : 1);
  const parts = tiles.map((tile) =>
    tileGradient(graph, inputs, tileRows(graph, inputs, tile), attributes),
  );
  const of = (which: keyof (typeof parts)[number]) => parts.map((part) => part[which]);
  return [
    concat(graph, of('queries'), 1),
    sumOfPrefixes(graph, of('keys')),
    sumOfPrefixes(graph, of('values')),
  ];
}

/**
 * Computes the probabilities again, tile by tile of rows, of which those of one are there at a time: the longest first, so that
 * the others fit into the memory that it leaves, and are added to the first rows of its sums. A tile is given its rows after the
 * one before: nothing else would keep ONNX Runtime from beginning with all of them.
 */
function recomputedGradient(graph: Graph, inputs: TileInputs, attributes: AttentionAttributes) {
  const { causal } = attributes;
  const [heads, rows] = inputs.queries.shape as [number, number];
  const columns = inputs.keys.shape[1]!;
  const count = Math.ceil((heads * rows * columns) / RECOMPUTED_SCORES);
  const tiles = tilesOf(rows, columns, causal, Math.max(causal ? DIFFERENTIATED_TILES : 1, count));
  const queries: Value[] = [];
  let done: readonly Value[] = [];
  for (const tile of tiles.toReversed()) {
    const given = tileRows(graph, inputs, tile);
    const own = {
      ...given,
      queries: after(graph, given.queries, done),
      dy: after(graph, given.dy, done),
    };
    const part = tileGradient(graph, inputs, own, attributes);
    const [, keys, values] = done;
    queries.unshift(part.queries);
    done = [
      part.queries,
      withPrefix(graph, keys, part.keys),
      withPrefix(graph, values, part.values),
    ];
  }
  return [concat(graph, queries, 1), done[1]!, done[2]!];
}

/** x, which is not there before the others are: zero times an element of each is added. */
function after(graph: Graph, x: Value, others: readonly Value[]): Value {
  if (others.length === 0) return x;
  const elements = others.map((value) => slice(graph, value, [0, 0, 0], [1, 1, 1]));
  const sum = elements.reduce((total, element) => binary(graph, 'Add', total, element));
  return binary(graph, 'Add', x, binary(graph, 'Mul', sum, graph.scalar(0)));
}

/** sum + part, where the part covers the first rows: (kvHeads, n, d), n ≤ S. */
function withPrefix(graph: Graph, sum: Value | undefined, part: Value): Value {
  if (sum === undefined) return part;
  const missing = sum.shape[1]! - part.shape[1]!;
  // Cutting the sum apart would bring the places of its parts to a GPU at every run.
  const filled =
    missing === 0
      ? part
      : graph.add('Pad', [part, graph.int64([0, 0, 0, 0, missing, 0])], like(sum));
  return binary(graph, 'Add', sum, filled);
}

interface TileInputs extends AttentionInputs {
  /** (heads, T, vd). */
  readonly dy: Value;
  /** D of each row, (heads, T, 1). */
  readonly rowDots: Value;
}

/** What a tile has of the queries, of what comes from above, and of the dots of its rows. */
interface TileRows {
  readonly tile: Tile;
  readonly queries: Value;
  readonly dy: Value;
  readonly rowDots: Value;
}

function tileRows(graph: Graph, { queries, dy, rowDots }: TileInputs, tile: Tile): TileRows {
  const own = (x: Value) => rowsOf(graph, x, tile.from, tile.to);
  return { tile, queries: own(queries), dy: own(dy), rowDots: own(rowDots) };
}

function tileGradient(
  graph: Graph,
  inputs: TileInputs,
  own: TileRows,
  attributes: AttentionAttributes,
) {
  const { scale } = attributes;
  const { tile } = own;
  const kvHeads = inputs.keys.shape[0]!;
  const weights = probabilities(graph, own.queries, inputs.keys, tile, inputs.mask, attributes);
  const dOutput = grouped(graph, own.dy, kvHeads);
  const values = rowsOf(graph, inputs.values, 0, tile.keys);
  const dWeights = graph.reshape(
    matMul(graph, dOutput, values, { transposeB: true }),
    weights.shape,
  );
  const dScores = binary(graph, 'Mul', weights, binary(graph, 'Sub', dWeights, own.rowDots));
  const d = grouped(graph, dScores, kvHeads);
  const queries = grouped(graph, own.queries, kvHeads);
  const dQueries = matMul(graph, d, rowsOf(graph, inputs.keys, 0, tile.keys), { alpha: scale });
  return {
    queries: graph.reshape(dQueries, own.queries.shape),
    keys: matMul(graph, d, queries, { transposeA: true, alpha: scale }),
    values: matMul(graph, grouped(graph, weights, kvHeads), dOutput, { transposeA: true }),
  };
}

/** Σ of (kvHeads, nᵢ, d) over i, where the shorter ones cover the first nᵢ rows. n is increasing. */
function sumOfPrefixes(graph: Graph, parts: readonly Value[]): Value {
  const ends = parts.map((part) => part.shape[1]!);
  const segments = ends.map((end, i) => {
    const from = i === 0 ? 0 : ends[i - 1]!;
    const covering = parts.slice(i).map((part) => rowsOf(graph, part, from, end));
    return covering.reduce((sum, part) => binary(graph, 'Add', sum, part));
  });
  return concat(graph, segments, 1);
}
