/** Where the patches of one image stand inside a tower, and which of them attend to each other. */
import type { Segment } from './vision-block.js';
import type { VisionTowerConfig } from './vision-config.js';
import type { PatchGrid } from './vision-positions.js';

/** Places are those inside the tower. */
export interface PatchLayout {
  /** (P) number in the given order of the patch at each place; absent where the two orders are one. */
  readonly given?: Int32Array;
  /** (P) number, row by row, of the patch at each place; absent where the two orders are one. */
  readonly rowMajor?: Int32Array;
  /** Windows, equal ones side by side; absent in towers without windows. */
  readonly windows?: readonly Segment[];
}

/**
 * Patches come cell by cell and, in towers with windows, stand window by window, windows of one size side by side: that
 * changes nothing (attention follows permutations) and makes one batch of all windows of a size.
 */
export function patchLayout(
  { cellSide = 1, windows }: Pick<VisionTowerConfig, 'cellSide' | 'windows'>,
  { h, w }: PatchGrid,
): PatchLayout {
  const perCell = cellSide * cellSide;
  const groups = windows ? bySize(windowsOf(h / cellSide, w / cellSide, windows.side)) : undefined;
  const cells = groups?.flat(2);
  const given = Int32Array.from({ length: h * w }, (_, place) =>
    cells ? cells[Math.floor(place / perCell)]! * perCell + (place % perCell) : place,
  );
  const rowMajor = given.map((patch) => rowMajorNumber(patch, w, cellSide));
  return {
    ...(groups && { windows: groups.map((group) => segmentOf(group, perCell)) }),
    ...(isNatural(given) ? {} : { given }),
    ...(isNatural(rowMajor) ? {} : { rowMajor }),
  };
}

const segmentOf = (group: readonly (readonly number[])[], perCell: number): Segment => ({
  count: group.length,
  tokens: group[0]!.length * perCell,
});

const isNatural = (order: Int32Array): boolean => order.every((number, place) => number === place);

/** From the number in which cells come row by row, and the patches of a cell row by row. */
function rowMajorNumber(patch: number, columns: number, side: number): number {
  const cell = Math.floor(patch / (side * side));
  const inside = patch % (side * side);
  const cellColumns = columns / side;
  const row = Math.floor(cell / cellColumns) * side + Math.floor(inside / side);
  return row * columns + (cell % cellColumns) * side + (inside % side);
}

/**
 * Cuts a grid into windows from the top-left corner; those at the right and bottom edge are smaller.
 * @returns cell numbers, row by row, of each window, windows row by row.
 */
export function windowsOf(rows: number, columns: number, side: number): readonly number[][] {
  const windows: number[][] = [];
  for (let top = 0; top < rows; top += side) {
    for (let left = 0; left < columns; left += side) {
      const window: number[] = [];
      for (let row = top; row < Math.min(top + side, rows); row++) {
        for (let column = left; column < Math.min(left + side, columns); column++) {
          window.push(row * columns + column);
        }
      }
      windows.push(window);
    }
  }
  return windows;
}

/** Lists of equal length together, in the order of their first. */
function bySize(windows: readonly number[][]): readonly (readonly number[][])[] {
  const groups = new Map<number, number[][]>();
  for (const window of windows) {
    groups.set(window.length, [...(groups.get(window.length) ?? []), window]);
  }
  return [...groups.values()];
}

/** The permutation that undoes `order`. */
export function inverseOrder(order: Int32Array): Int32Array {
  const inverse = new Int32Array(order.length);
  order.forEach((number, place) => {
    inverse[number] = place;
  });
  return inverse;
}
