import { cameraNormals, type GeometryLabelsV1, nearestPixels } from '@spatialsv/core';
import { labelWindow, viewLabels } from '../labels/label-maps.js';
import type { ViewLayout } from './view-sets.js';

/** What is probed as a map over the pixels of a view. */
export const DENSE_TASKS = ['depth', 'normals', 'ray-map'] as const;
export type DenseTask = (typeof DENSE_TASKS)[number];

/** Channels of the maps: z-depth; unit normal in the frame of the camera; origin and direction of the ray (eq. 8). */
export const DENSE_CHANNELS: Readonly<Record<DenseTask, number>> = {
  depth: 1,
  normals: 3,
  'ray-map': 6,
};

/** Pixels of a map to a cell of the token grid, in rows and in columns. */
export const CELL_PIXELS = 8;

/** What one view has of a task. */
export interface DenseTarget {
  /** (H, W, k). */
  readonly values: Float32Array;
  /** (H, W) 1 where the target counts. */
  readonly mask: Float32Array;
}

/** Size of the maps of a view. */
export const mapSize = ({ h, w }: Pick<ViewLayout, 'h' | 'w'>) => ({
  height: h * CELL_PIXELS,
  width: w * CELL_PIXELS,
});

/**
 * Targets of every view of a set, over the part of the image that its cells cover.
 * @param labels as `learnableLabels` returns them: world = first camera, mean distance of the scene = 1.
 */
export function denseTargets(
  task: DenseTask,
  labels: GeometryLabelsV1,
  views: readonly ViewLayout[],
): readonly DenseTarget[] {
  if (task === 'normals') return normalTargets(labels, views);
  return views.map((layout, view) => {
    const maps = viewLabels(labels, view, { ...layout, ...mapSize(layout) });
    return task === 'depth'
      ? { values: maps.depth, mask: maps.mask }
      : { values: maps.rays, mask: maps.rayMask };
  });
}

/** Normals are made where depth was measured, and sampled then: neighbours of a resampled map are no neighbours. */
function normalTargets(labels: GeometryLabelsV1, views: readonly ViewLayout[]): DenseTarget[] {
  const { normals, mask } = cameraNormals(labels);
  const pixels = labels.height * labels.width;
  return views.map((layout, view) => {
    const size = mapSize(layout);
    const target = {
      values: new Float32Array(size.height * size.width * 3),
      mask: new Float32Array(size.height * size.width),
    };
    nearestPixels(labels, labelWindow(labels, layout), size).forEach((pixel, i) => {
      const source = view * pixels + pixel;
      if (pixel < 0 || mask[source] === 0) return;
      target.values.set(normals.subarray(3 * source, 3 * source + 3), 3 * i);
      target.mask[i] = 1;
    });
    return target;
  });
}
