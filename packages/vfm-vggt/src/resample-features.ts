import type { PixelWindow } from '@spatialsv/core';
import type { PreparedImages } from './vggt-preprocess.js';

export interface FeatureMap {
  /** (V, h, w, C). */
  readonly data: Float32Array;
  readonly h: number;
  readonly w: number;
  readonly channels: number;
}

/** Two neighbours and the share of the second one. */
interface Blend {
  readonly low: number;
  readonly high: number;
  readonly share: number;
}

/**
 * Brings features of the network's input onto a grid over the whole pictures, with the cells of the first picture. Where
 * nothing was cropped or padded that is the network's own grid, untouched; otherwise cells are blended bilinearly, and
 * those that the network did not see repeat the nearest one that it did.
 */
export function resampleFeatures(features: FeatureMap, images: PreparedImages): FeatureMap {
  const { height, width, windows } = images;
  if (windows.every((window) => isWhole(window, images))) return features;
  const [first] = windows;
  const cell = { y: height / features.h, x: width / features.w };
  const h = Math.max(1, Math.round((first!.y1 - first!.y0) / cell.y));
  const w = Math.max(1, Math.round((first!.x1 - first!.x0) / cell.x));
  const data = new Float32Array(images.views * h * w * features.channels);
  windows.forEach((window, view) => {
    const rows = blends(window.y0 / cell.y, window.y1 / cell.y, h, features.h);
    const columns = blends(window.x0 / cell.x, window.x1 / cell.x, w, features.w);
    blendView(features, view, { rows, columns }, data);
  });
  return { data, h, w, channels: features.channels };
}

const isWhole = ({ x0, y0, x1, y1 }: PixelWindow, { width, height }: PreparedImages): boolean =>
  x0 === 0 && y0 === 0 && x1 === width && y1 === height;

/** Where the centres of `count` cells between two edges lie among `limit` cells. */
const blends = (from: number, to: number, count: number, limit: number): Blend[] =>
  Array.from({ length: count }, (_, i) => {
    const centre = from + ((i + 0.5) * (to - from)) / count - 0.5;
    const place = Math.min(Math.max(centre, 0), limit - 1);
    const low = Math.floor(place);
    return { low, high: Math.min(low + 1, limit - 1), share: place - low };
  });

function blendView(
  { data, h, w, channels }: FeatureMap,
  view: number,
  { rows, columns }: { readonly rows: readonly Blend[]; readonly columns: readonly Blend[] },
  result: Float32Array,
): void {
  const start = (row: number, column: number) => ((view * h + row) * w + column) * channels;
  let o = view * rows.length * columns.length * channels;
  for (const row of rows) {
    for (const column of columns) {
      const corners = [row.low, row.high].flatMap((r) => [
        start(r, column.low),
        start(r, column.high),
      ]) as [number, number, number, number];
      for (let c = 0; c < channels; c++, o++) {
        const [topLeft, topRight, lowLeft, lowRight] = corners;
        const top = data[topLeft + c]! * (1 - column.share) + data[topRight + c]! * column.share;
        const low = data[lowLeft + c]! * (1 - column.share) + data[lowRight + c]! * column.share;
        result[o] = top * (1 - row.share) + low * row.share;
      }
    }
  }
}
