import {
  depthMetrics,
  normalAngles,
  rayErrors,
  SpatialError,
  summariseAngles,
} from '@spatialsv/core';
import type { DenseTarget, DenseTask } from './dense-targets.js';
import type { Metrics } from './probe-model.js';

/** Collects the errors of views, one after the other. */
export interface MapMetrics {
  /** @param prediction (H, W, k). */
  add(prediction: Float32Array, target: DenseTarget): void;
  /** @throws SpatialError DATA_INVALID where no pixel was valid. */
  result(): Metrics;
}

export function mapMetrics(task: DenseTask): MapMetrics {
  if (task === 'depth') return depthOfViews();
  return task === 'normals' ? normalsOfViews() : raysOfViews();
}

/** Depth: means over views of what core measures of each (probe3d); scale is that of the labels, mean distance = 1. */
function depthOfViews(): MapMetrics {
  const views: Metrics[] = [];
  return {
    add(prediction, { values: target, mask }) {
      if (!mask.some((value) => value > 0)) return;
      const found = depthMetrics({ prediction, target, mask, views: 1 });
      views.push({
        rmse: found.raw.rmse,
        rmseMedianScaled: found['median-scale'].rmse,
        rmseScaled: found['least-squares-scale'].rmse,
        rmseScaledAndShifted: found['scale-and-shift'].rmse,
        absRel: found.raw.absRel,
        absRelMedianScaled: found['median-scale'].absRel,
        delta1: found.raw.delta1,
        delta2: found.raw.delta2,
        delta3: found.raw.delta3,
        delta1MedianScaled: found['median-scale'].delta1,
      });
    },
    result: () => meanOf(views),
  };
}

function normalsOfViews(): MapMetrics {
  const angles: Float64Array[] = [];
  return {
    add: (prediction, { values, mask }) => void angles.push(normalAngles(prediction, values, mask)),
    result() {
      const all = new Float64Array(angles.reduce((sum, { length }) => sum + length, 0));
      let offset = 0;
      for (const part of angles) {
        all.set(part, offset);
        offset += part.length;
      }
      if (all.length === 0) throw noValidPixel();
      return { ...summariseAngles(all) };
    },
  };
}

/** Rays: mean angle between directions, and mean distance of the origins where the mean distance of the scene is 1. */
function raysOfViews(): MapMetrics {
  const views: Metrics[] = [];
  return {
    add: (prediction, { values, mask }) => void views.push(rayErrors(prediction, values, mask)),
    result: () => meanOf(views),
  };
}

function meanOf(views: readonly Metrics[]): Metrics {
  if (views.length === 0) throw noValidPixel();
  const mean = (name: string) => views.reduce((sum, view) => sum + view[name]!, 0) / views.length;
  return Object.fromEntries(Object.keys(views[0]!).map((name) => [name, mean(name)]));
}

const noValidPixel = (): SpatialError =>
  new SpatialError({
    code: 'DATA_INVALID',
    message: 'held-out scenes: no valid pixel in the labels',
    hint: 'Hold out more scenes (--held-out), or look at the labels with `spatialsv labels show`.',
  });
