import type { GeometryLabelsV1 } from '../spec.js';
import type { ImageSize, PixelWindow } from './cameras.js';

type FeatureMap = NonNullable<GeometryLabelsV1['features']>;

/** Two neighbours and the share of the second one. */
interface Blend {
  readonly low: number;
  readonly high: number;
  readonly share: number;
}

/**
 * Brings features of a network's input onto a grid over the whole images, with as many cells as the first image
 * asks for. Where nothing was cropped or padded that is the network's own grid, untouched; otherwise cells are blended
 * bilinearly, and those that the network did not see repeat the nearest one that it did.
 * @param input size of the network's input, and per view the rectangle that the whole image has in it.
 */
export const resampleFeatures = (
  features: FeatureMap,
  input: ImageSize & { readonly windows: readonly PixelWindow[] },
): FeatureMap => {
  const { height, width, windows } = input;
  const isWhole = ({ x0, y0, x1, y1 }: PixelWindow): boolean =>
    x0 === 0 && y0 === 0 && x1 === width && y1 === height;
  if (windows.every(isWhole)) return features;
  const [first] = windows as readonly [PixelWindow];
  const cell = { y: height / features.h, x: width / features.w };
  const h = Math.max(1, Math.round((first.y1 - first.y0) / cell.y));
  const w = Math.max(1, Math.round((first.x1 - first.x0) / cell.x));
  const data = new Float32Array(windows.length * h * w * features.channels);
  windows.forEach((window, view) => {
    const rows = blends(window.y0 / cell.y, window.y1 / cell.y, h, features.h);
    const columns = blends(window.x0 / cell.x, window.x1 / cell.x, w, features.w);
    blendView(features, view, { rows, columns }, data);
  });
  return { data, h, w, channels: features.channels };
};

/** Where the centres of `count` cells between two edges lie among `limit` cells. */
const blends = (from: number, to: number, count: number, limit: number): Blend[] =>
  Array.from({ length: count }, (_, i) => {
    const centre = from + ((i + 0.5) * (to - from)) / count - 0.5;
    const place = Math.min(Math.max(centre, 0), limit - 1);
    const low = Math.floor(place);
    return { low, high: Math.min(low + 1, limit - 1), share: place - low };
  });

const blendView = (
  { data, h, w, channels }: FeatureMap,
  view: number,
  { rows, columns }: { readonly rows: readonly Blend[]; readonly columns: readonly Blend[] },
  result: Float32Array,
): void => {
  const start = (row: number, column: number) => ((view * h + row) * w + column) * channels;
  let o = view * rows.length * columns.length * channels;
  for (const row of rows)
    for (const column of columns) {
      const [a, b] = [start(row.low, column.low), start(row.low, column.high)];
      const [c, d] = [start(row.high, column.low), start(row.high, column.high)];
      for (let i = 0; i < channels; i++, o++) {
        const upper = data[a + i]! + (data[b + i]! - data[a + i]!) * column.share;
        const lower = data[c + i]! + (data[d + i]! - data[c + i]!) * column.share;
        result[o] = upper + (lower - upper) * row.share;
      }
    }
};
