import { inverseFrequencies } from '@spatialsv/core';
import type { VisionConfig } from './qwen25vl-config.js';

/** Base of the vision tower's rotary positions. */
const VISION_THETA = 10000;

/** `count` windows of `patches` patches each, consecutive in window order. */
export interface WindowGroup {
  readonly count: number;
  readonly patches: number;
}

/** How the patches of one image are laid out so that equal windows form one batch. */
export interface WindowLayout {
  /** (P) patch in processor order at each place of the window order. */
  readonly order: Int32Array;
  /** (P) place in window order of each patch in processor order. */
  readonly inverse: Int32Array;
  readonly groups: readonly WindowGroup[];
  /** (P, hd/2) rotary tables, in window order. */
  readonly cos: Float32Array;
  readonly sin: Float32Array;
}

/**
 * Cuts the merged grid into windows from the top-left corner; those at the right and bottom edge are smaller.
 * @returns merged cell indices (row-major) of each window, windows row-major.
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

/**
 * Window order of an image's patches, with equally large windows side by side.
 * @param patchRows, patchColumns patch grid before merging.
 */
export function windowLayout(
  vision: VisionConfig,
  patchRows: number,
  patchColumns: number,
): WindowLayout {
  const merge = vision.mergeSize;
  const windows = windowsOf(patchRows / merge, patchColumns / merge, vision.windowCells);
  const bySize = new Map<number, number[][]>();
  for (const window of windows) {
    bySize.set(window.length, [...(bySize.get(window.length) ?? []), window]);
  }
  const cells = [...bySize.values()].flat(2);
  const perCell = merge * merge;
  const order = Int32Array.from({ length: cells.length * perCell }, (_, place) => {
    return cells[Math.floor(place / perCell)]! * perCell + (place % perCell);
  });
  const inverse = new Int32Array(order.length);
  order.forEach((patch, place) => {
    inverse[patch] = place;
  });
  const groups = [...bySize].map(([size, list]) => ({
    count: list.length,
    patches: size * perCell,
  }));
  return { order, inverse, groups, ...rotaryTables2d(vision, patchColumns / merge, order) };
}

/** Row and column of a patch in the patch grid, from its place in processor order (cells row-major, then 2×2). */
function patchPosition(patch: number, cellColumns: number, merge: number): [number, number] {
  const cell = Math.floor(patch / (merge * merge));
  const inside = patch % (merge * merge);
  const row = Math.floor(cell / cellColumns) * merge + Math.floor(inside / merge);
  return [row, (cell % cellColumns) * merge + (inside % merge)];
}

/** Angles [row · inv, column · inv] with inv over a quarter of the head dimension each. */
function rotaryTables2d(
  vision: VisionConfig,
  cellColumns: number,
  order: Int32Array,
): { cos: Float32Array; sin: Float32Array } {
  const inverse = inverseFrequencies(VISION_THETA, vision.headDim / 2);
  const half = vision.headDim / 2;
  const cos = new Float32Array(order.length * half);
  const sin = new Float32Array(order.length * half);
  order.forEach((patch, place) => {
    const [row, column] = patchPosition(patch, cellColumns, vision.mergeSize);
    for (let i = 0; i < half; i++) {
      const position = i < inverse.length ? row : column;
      const angle = Math.fround(position * inverse[i % inverse.length]!);
      cos[place * half + i] = Math.cos(angle);
      sin[place * half + i] = Math.sin(angle);
    }
  });
  return { cos, sin };
}
