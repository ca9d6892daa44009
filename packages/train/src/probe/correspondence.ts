import {
  cameraOfView,
  cameraStack,
  type GeometryLabelsV1,
  labelMaps,
  projectPoints,
} from '@spatialsv/core';
import { labelWindow } from '../labels/label-maps.js';
import type { ViewLayout } from './view-sets.js';

/** Cells of one view that another view shows too, and where. */
export interface Matches {
  /** (M) cells of the first view, row-major. */
  readonly cells: Int32Array;
  /** (M) cells of the second view in which they are seen. */
  readonly targets: Int32Array;
  /** (M, 2) row and column of the exact place in the second view, in cells from the upper left corner. */
  readonly places: Float64Array;
}

/** How far a depth may be from that of the projected point before something else is in front of it, as a share. */
export const OCCLUSION_TOLERANCE = 0.05;

/**
 * True matches from depth and cameras: the point that the middle of a cell of view `from` shows is projected into view `to`. It
 * is matched where it lies in the part of the image that the cells of `to` cover, and where the depth there is its own.
 * @param labels of all views in one world, with depths along the axis.
 */
export function trueMatches(
  labels: GeometryLabelsV1,
  layouts: readonly ViewLayout[],
  from: number,
  to: number,
  points = labelMaps(labels).points,
): Matches {
  const [cells, targets, places]: [number[], number[], number[]] = [[], [], []];
  const { h, w } = layouts[from]!;
  const start = from * labels.height * labels.width;
  for (let cell = 0; cell < h * w; cell++) {
    const pixel = middlePixel(labels, layouts[from]!, cell);
    if (pixel === undefined || labels.mask[start + pixel] === 0) continue;
    const place = placeIn(labels, layouts[to]!, to, points.subarray(3 * (start + pixel)));
    if (place === undefined) continue;
    cells.push(cell);
    targets.push(Math.floor(place.row) * layouts[to]!.w + Math.floor(place.column));
    places.push(place.row, place.column);
  }
  return {
    cells: Int32Array.from(cells),
    targets: Int32Array.from(targets),
    places: Float64Array.from(places),
  };
}

/** Label pixel in the middle of a cell; undefined outside of the image. */
function middlePixel(
  labels: GeometryLabelsV1,
  layout: ViewLayout,
  cell: number,
): number | undefined {
  const { h, w } = layout;
  const { x0, x1, y0, y1 } = labelWindow(labels, layout);
  const x = Math.floor(x0 + (((cell % w) + 0.5) * (x1 - x0)) / w);
  const y = Math.floor(y0 + ((Math.floor(cell / w) + 0.5) * (y1 - y0)) / h);
  const isInside = x >= 0 && x < labels.width && y >= 0 && y < labels.height;
  return isInside ? y * labels.width + x : undefined;
}

/** Where a view shows a world point, in cells; undefined where it does not. */
function placeIn(
  labels: GeometryLabelsV1,
  layout: ViewLayout,
  view: number,
  point: Float32Array,
): { readonly row: number; readonly column: number } | undefined {
  const stack = cameraStack(labels);
  const [u, v, z] = projectPoints(point.subarray(0, 3), cameraOfView(stack, view)) as never as [
    number,
    number,
    number,
  ];
  if (!(z > 0)) return undefined;
  const toEdge = labels.conventions.pixelCentre === 'half' ? 0 : 0.5;
  const [x, y] = [u + toEdge, v + toEdge];
  if (!showsDepth(labels, view, x, y, z)) return undefined;
  const { x0, x1, y0, y1 } = labelWindow(labels, layout);
  const column = ((x - x0) / (x1 - x0)) * layout.w;
  const row = ((y - y0) / (y1 - y0)) * layout.h;
  const isCovered = column >= 0 && column < layout.w && row >= 0 && row < layout.h;
  return isCovered ? { row, column } : undefined;
}

/** Whether the label has about this depth at a place. */
function showsDepth(
  { height, width, depth, mask }: GeometryLabelsV1,
  view: number,
  x: number,
  y: number,
  z: number,
): boolean {
  if (!(x >= 0 && x < width && y >= 0 && y < height)) return false;
  const pixel = view * height * width + Math.floor(y) * width + Math.floor(x);
  return mask[pixel] === 1 && Math.abs(depth[pixel]! - z) <= OCCLUSION_TOLERANCE * z;
}

/** What is counted of matches. */
export interface MatchCounts {
  matches: number;
  /** Matches whose true cell is the most similar one, and among the five most similar. */
  recall1: number;
  recall5: number;
  /** Matches whose most similar cell lies within a tenth, and a fifth, of the longer side of the grid. */
  pck10: number;
  pck20: number;
}

export const noMatches = (): MatchCounts => ({
  matches: 0,
  recall1: 0,
  recall5: 0,
  pck10: 0,
  pck20: 0,
});

/**
 * Adds the matches of one pair of views to counts.
 * @param similarity (P, P') of the cells of both views; larger is more alike. Of equal ones the first counts as the nearest.
 * @param grid of the second view.
 */
export function countMatches(
  counts: MatchCounts,
  similarity: ArrayLike<number>,
  { cells, targets, places }: Matches,
  grid: { readonly h: number; readonly w: number },
): void {
  const width = grid.h * grid.w;
  const side = Math.max(grid.h, grid.w);
  for (let match = 0; match < cells.length; match++) {
    const row = cells[match]! * width;
    const { rank, best } = rankOf(similarity, row, width, targets[match]!);
    const distance = Math.hypot(
      Math.floor(best / grid.w) + 0.5 - places[2 * match]!,
      (best % grid.w) + 0.5 - places[2 * match + 1]!,
    );
    counts.matches += 1;
    counts.recall1 += rank < 1 ? 1 : 0;
    counts.recall5 += rank < 5 ? 1 : 0;
    counts.pck10 += distance <= 0.1 * side ? 1 : 0;
    counts.pck20 += distance <= 0.2 * side ? 1 : 0;
  }
}

/** How many cells are more similar than the target, and which is the most similar one. */
function rankOf(similarity: ArrayLike<number>, start: number, length: number, target: number) {
  const own = similarity[start + target]!;
  let [rank, best] = [0, 0];
  for (let i = 0; i < length; i++) {
    const value = similarity[start + i]!;
    if (value > own || (value === own && i < target)) rank += 1;
    if (value > similarity[start + best]!) best = i;
  }
  return { rank, best };
}
