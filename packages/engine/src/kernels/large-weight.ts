import { type Graph, sizeOf, type Value } from '../graph/graph.js';
import { bytesPerElement } from '../onnx/element-type.js';
import { binary } from './elementwise.js';
import { concat, slice } from './shape.js';

interface Piece {
  readonly first: number;
  readonly rows: Value;
}

/** Rows of a weight in pieces that the device takes as tensors; undefined where it takes the whole, or not even one row. */
function piecesOf(graph: Graph, value: Value): readonly Piece[] | undefined {
  const stored = graph.storedWeight(value);
  if (stored === undefined) return undefined;
  const [count = 1] = stored.shape;
  const rowBytes = (sizeOf(stored.shape) / count) * bytesPerElement(stored.dtype);
  const most = Math.floor(graph.largestWeightBytes / rowBytes);
  if (count <= most || most < 1) return undefined;
  const each = Math.ceil(count / Math.ceil(count / most));
  return Array.from({ length: Math.ceil(count / each) }, (_, i) => {
    const first = i * each;
    const rows = graph.weightPart(stored.weight!, first, Math.min(each, count - first));
    return { first, rows };
  });
}

/**
 * x·Wᵀ or x·W of a weight that is too large for one tensor of the device.
 * @param x (rows, in). @param weight (out, in), or (in, out) where it is not transposed.
 * @returns (rows, out); undefined for any other weight.
 */
export function productInPieces(
  graph: Graph,
  x: Value,
  weight: Value,
  transposed: boolean,
): Value | undefined {
  const pieces = piecesOf(graph, weight);
  if (pieces === undefined) return undefined;
  const rows = x.shape[0]!;
  const product = (left: Value, right: Value) => {
    const shape = [rows, right.shape[transposed ? 0 : 1]!];
    const attributes = { transA: 0, transB: transposed ? 1 : 0 };
    return graph.add('Gemm', [left, right], { shape, dtype: 'float32' }, { attributes });
  };
  if (transposed) {
    const parts = pieces.map((piece) => product(x, piece.rows));
    return concat(graph, parts, 1);
  }
  return pieces
    .map((piece) => {
      const columns = slice(graph, x, [0, piece.first], [rows, piece.rows.shape[0]!]);
      return product(columns, piece.rows);
    })
    .reduce((sum, part) => binary(graph, 'Add', sum, part));
}

/** Rows of a weight that is too large for one tensor of the device; undefined for any other weight. @param indices int32. */
export function gatherInPieces(graph: Graph, table: Value, indices: Value): Value | undefined {
  const pieces = piecesOf(graph, table);
  if (pieces === undefined) return undefined;
  const inner = table.shape.slice(1);
  const type = { shape: [...indices.shape, ...inner], dtype: table.dtype };
  const column = [...indices.shape, ...inner.map(() => 1)];
  const found = pieces.map((piece) => {
    const { isInside, index } = placeIn(graph, indices, piece);
    // Only the rows that are read become float32.
    const rows = graph.storedWeight(piece.rows)!;
    const read = graph.add(
      'Gather',
      [rows, index],
      { ...type, dtype: rows.dtype },
      { attributes: { axis: 0 } },
    );
    return { isInside: graph.reshape(isInside, column), rows: graph.cast(read, table.dtype) };
  });
  // Each piece replaces what lies in it; the first one has some row for every index.
  const [start, ...others] = found;
  return others.reduce(
    (all, { isInside, rows }) => graph.add('Where', [isInside, rows, all], type),
    start!.rows,
  );
}

/** Which indices lie in a piece, and where; 0 for the others. */
function placeIn(graph: Graph, indices: Value, { first, rows }: Piece) {
  const integer = (value: number) => graph.constant(Int32Array.of(value), [], 'int32');
  const type = { shape: indices.shape, dtype: 'int32' } as const;
  const inside = { shape: indices.shape, dtype: 'bool' } as const;
  const local = graph.add('Sub', [indices, integer(first)], type);
  const isInside = graph.add(
    'And',
    [
      graph.add('GreaterOrEqual', [local, integer(0)], inside),
      graph.add('Less', [local, integer(rows.shape[0]!)], inside),
    ],
    inside,
  );
  return { isInside, index: graph.add('Where', [isInside, local, integer(0)], type) };
}
