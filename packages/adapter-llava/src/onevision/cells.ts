/** Where the cells of a view lie in its image. */
import type { RgbImage, ViewGridV1 } from '@spatialsv/core/spec';

/** Cells along one side. */
export interface CellAxis {
  /** Place in the image, in pixels, where the first cell begins; outside of it where there is a border. */
  readonly start: number;
  readonly pitch: number;
  readonly count: number;
}

/** Cells from `from` up to `to`. */
interface Range {
  readonly from: number;
  readonly to: number;
}

const ROUNDING = 1e-6;

/** The cells that see the image alone; that in its middle, where each sees some of the border. */
function seeingImage({ start, pitch, count }: CellAxis, size: number): Range {
  const from = Math.max(0, Math.ceil(-start / pitch - ROUNDING));
  const to = Math.min(count, Math.floor((size - start) / pitch + ROUNDING));
  if (from < to) return { from, to };
  const middle = Math.min(count - 1, Math.max(0, Math.floor((size / 2 - start) / pitch)));
  return { from: middle, to: middle + 1 };
}

export interface PlacedCells {
  readonly rows: CellAxis;
  readonly columns: CellAxis;
  /** Position of the view's first visual row. */
  readonly first: number;
  /** Visual rows of the view. */
  readonly count: number;
  /** Visual row of a cell, counted from `first`. */
  readonly rowOf: (row: number, column: number) => number;
}

/** The grid of the cells that see the image; all other visual rows are extra ones. */
export function gridOfCells(cells: PlacedCells, { height, width }: RgbImage): ViewGridV1 {
  const rows = seeingImage(cells.rows, height);
  const columns = seeingImage(cells.columns, width);
  const [h, w] = [rows.to - rows.from, columns.to - columns.from];
  const tokenIndex = Int32Array.from(
    { length: h * w },
    (_, cell) =>
      cells.first + cells.rowOf(rows.from + Math.floor(cell / w), columns.from + (cell % w)),
  );
  const inGrid = new Set(tokenIndex);
  const all = Int32Array.from({ length: cells.count }, (_, row) => cells.first + row);
  const [top, bottom] = edges(cells.rows, rows);
  const [left, right] = edges(cells.columns, columns);
  return {
    ...{ h, w, tokenIndex, extraIndex: all.filter((position) => !inGrid.has(position)) },
    toImage: { ax: cells.columns.pitch, bx: left, ay: cells.rows.pitch, by: top },
    covered: {
      x0: Math.max(0, left),
      y0: Math.max(0, top),
      x1: Math.min(width, right),
      y1: Math.min(height, bottom),
    },
  };
}

/** Adding zero makes −0 the 0 that it is in JSON. */
const edges = ({ start, pitch }: CellAxis, { from, to }: Range): [number, number] => [
  start + pitch * from + 0,
  start + pitch * to,
];
