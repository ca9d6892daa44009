import { type Tensor, tf } from '@spatialsv/engine';
import { SpatialError } from '../errors.js';
import { norm } from './masked.js';

const SHORTEST_FEATURE = 1e-8;

/**
 * Feature distillation (eq. 2, shifted to be ≥ 0): mean over tokens of 1 − cos(projected, target).
 * @param projected (N, d_3D) φ of the last hidden states of the visual tokens.
 * @param target (N, d_3D) pooled features of the 3D foundation model, not normalised.
 * @returns scalar in [0, 2].
 */
export function distillationLoss(projected: Tensor, target: Tensor): Tensor {
  const unit = (x: Tensor) => tf.div(x, tf.expandDims(tf.maximum(norm(x), SHORTEST_FEATURE), -1));
  const cosine = tf.sum(tf.mul(unit(projected), unit(target)), -1);
  return tf.mean(tf.sub(1, cosine));
}

/** Rectangle of an image in shares of its sides. */
export interface ImagePart {
  readonly x0: number;
  readonly y0: number;
  readonly x1: number;
  readonly y1: number;
}

const WHOLE: ImagePart = { x0: 0, y0: 0, x1: 1, y1: 1 };

/**
 * f_pool of equation 2 on the host: adaptive average pooling of feature maps to a token grid. Cell i of m over n rows
 * averages rows [⌊i·n/m⌋, ⌈(i+1)·n/m⌉).
 * @param features (V, h, w, C) row-major, over whole images.
 * @param grid rows and columns of the result, of any size (each window has at least one row).
 * @param part of the images that the grid lies over, where that is not all of them.
 * @returns (V, grid.h, grid.w, C) row-major.
 * @throws SpatialError SHAPE_MISMATCH when the data are not views × h × w × channels long.
 */
export function poolFeatures(
  features: {
    readonly data: Float32Array;
    readonly views: number;
    readonly h: number;
    readonly w: number;
    readonly channels: number;
  },
  grid: { readonly h: number; readonly w: number },
  part: ImagePart = WHOLE,
): Float32Array {
  requireLength(features);
  const { views, channels } = features;
  const result = new Float32Array(views * grid.h * grid.w * channels);
  const rows = poolingWindows(part.y0 * features.h, part.y1 * features.h, grid.h);
  const columns = poolingWindows(part.x0 * features.w, part.x1 * features.w, grid.w);
  let offset = 0;
  for (let view = 0; view < views; view++) {
    for (const row of rows) {
      for (const column of columns) {
        averageWindow(features, view, row, column, result.subarray(offset, offset + channels));
        offset += channels;
      }
    }
  }
  return result;
}

interface PoolingWindow {
  readonly from: number;
  readonly to: number;
}

/** Edges that differ from a whole number by less are that number: they come from divisions. */
const SLACK = 1e-6;

/** Rows that each of `cells` equal parts between two edges touches. */
function poolingWindows(first: number, last: number, cells: number): PoolingWindow[] {
  const edge = (i: number) => first + (i * (last - first)) / cells;
  return Array.from({ length: cells }, (_, i) => ({
    from: Math.floor(edge(i) + SLACK),
    to: Math.ceil(edge(i + 1) - SLACK),
  }));
}

function averageWindow(
  features: Parameters<typeof poolFeatures>[0],
  view: number,
  row: PoolingWindow,
  column: PoolingWindow,
  result: Float32Array,
): void {
  const { data, h, w, channels } = features;
  const sums = new Float64Array(channels);
  for (let y = row.from; y < row.to; y++) {
    for (let x = column.from; x < column.to; x++) {
      const offset = ((view * h + y) * w + x) * channels;
      for (let c = 0; c < channels; c++) sums[c]! += data[offset + c]!;
    }
  }
  const count = (row.to - row.from) * (column.to - column.from);
  for (let c = 0; c < channels; c++) result[c] = sums[c]! / count;
}

function requireLength(features: Parameters<typeof poolFeatures>[0]): void {
  const expected = features.views * features.h * features.w * features.channels;
  if (features.data.length === expected) return;
  throw new SpatialError({
    code: 'SHAPE_MISMATCH',
    message:
      `poolFeatures: expected ${features.views}×${features.h}×${features.w}×${features.channels} = ${expected} values, ` +
      `found ${features.data.length}`,
    hint: 'Give the features as views, rows, columns, channels, without special tokens',
  });
}
