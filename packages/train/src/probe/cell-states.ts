import { poolFeatures, type RgbImage } from '@spatialsv/core';
import { coveredPart } from '../data/sample-preparation.js';
import type { CellFeatures } from './feature-store.js';
import type { ViewLayout } from './view-sets.js';

type Grid = Pick<ViewLayout, 'h' | 'w'>;

/**
 * States of the patches of the vision encoder by cell of the token grid. Where m × m patches make a cell, their channels stand
 * side by side, so nothing is lost; other patches are averaged onto the grid.
 * @param patches (P, C) row by row. @returns (h·w, m²·C) or (h·w, C).
 */
export function cellsOfPatches(
  patches: { readonly data: Float32Array; readonly shape: readonly number[] },
  { h, w }: Grid,
): CellFeatures {
  const [count, channels] = patches.shape as [number, number];
  const m = Math.sqrt(count / (h * w));
  if (Number.isInteger(m)) return gatherPatches(patches.data, channels, { h, w }, m);
  const rows = rowsOfPatches(count, h / w);
  const map = { data: patches.data, views: 1, h: rows, w: count / rows, channels };
  return { data: poolFeatures(map, { h, w }), channels };
}

function gatherPatches(data: Float32Array, channels: number, { h, w }: Grid, m: number) {
  if (m === 1) return { data, channels };
  const cells = new Float32Array(data.length);
  let offset = 0;
  for (let row = 0; row < h; row++)
    for (let column = 0; column < w; column++)
      for (let i = 0; i < m * m; i++) {
        const patch = (row * m + Math.floor(i / m)) * w * m + column * m + (i % m);
        cells.set(data.subarray(patch * channels, (patch + 1) * channels), offset);
        offset += channels;
      }
  return { data: cells, channels: m * m * channels };
}

/** Rows of P patches that fill a rectangle of about this shape. */
function rowsOfPatches(count: number, aspect: number): number {
  const divisors = Array.from({ length: count }, (_, i) => i + 1).filter((n) => count % n === 0);
  const misfit = (rows: number) => Math.abs(Math.log((rows * rows) / count / aspect));
  return divisors.reduce((best, rows) => (misfit(rows) < misfit(best) ? rows : best));
}

/** Pixels of a cell, in rows and in columns. */
const SIDE = 8;

/** What a cell covers of its image, as it is: 8 × 8 mean colours, (h·w, 192) in 0 … 1. */
export function pixelsOfCells(image: RgbImage, layout: ViewLayout): CellFeatures {
  const { h, w } = layout;
  const data = Float32Array.from(image.data, (level) => level / 255);
  const map = { data, views: 1, h: image.height, w: image.width, channels: 3 };
  const grid = { h: h * SIDE, w: w * SIDE };
  const pixels = poolFeatures(map, grid, coveredPart(layout, image));
  return gatherPatches(pixels, 3, { h, w }, SIDE);
}
