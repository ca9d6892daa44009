import { depthMetrics, type GeometryLabelsV1, pairErrors } from '@spatialsv/core';
import type { ViewCamera } from './cameras.js';
import type { PageFact } from './report/format.js';

/** How far predictions are from labels of the same size and scale. Units are in the names. */
export interface LabelMetrics {
  /** In the unit of the labels. */
  readonly depthRmse: number;
  readonly depthRmseMedianScaled: number;
  readonly depthAbsRel: number;
  /** Share of pixels with max(p/g, g/p) < 1.25. */
  readonly depthDelta1: number;
  /** Mean over pairs of views; absent when a view has no camera or there is one view. */
  readonly rotationDeg?: number;
}

/** @throws SpatialError NON_FINITE | DATA_INVALID as the depth metrics do. */
export function labelMetrics(
  depth: Float32Array,
  cameras: readonly (ViewCamera | undefined)[],
  labels: GeometryLabelsV1,
): LabelMetrics {
  const { views, mask } = labels;
  const found = depthMetrics({ prediction: depth, target: labels.depth, mask, views });
  const rotationDeg = meanRotation(cameras, labels);
  return {
    depthRmse: found.raw.rmse,
    depthRmseMedianScaled: found['median-scale'].rmse,
    depthAbsRel: found.raw.absRel,
    depthDelta1: found.raw.delta1,
    ...(rotationDeg !== undefined && { rotationDeg }),
  };
}

function meanRotation(
  cameras: readonly (ViewCamera | undefined)[],
  labels: GeometryLabelsV1,
): number | undefined {
  if (labels.views < 2 || cameras.length !== labels.views) return undefined;
  if (cameras.some((camera) => camera === undefined)) return undefined;
  const poses = cameras.flatMap((camera) => [...camera!.extrinsicsWorldToCamera]);
  const { rotationDeg } = pairErrors(poses, labels.extrinsicsWorldToCamera);
  return rotationDeg.reduce((sum, error) => sum + error, 0) / rotationDeg.length;
}

/** The same as rows of the page. */
export function metricRows(metrics: LabelMetrics, unit: string): PageFact[] {
  const length = (value: number) => `${value.toFixed(3)} ${unit}`.trim();
  const rows = [
    { name: 'Depth RMSE', value: length(metrics.depthRmse) },
    { name: 'after median scaling', value: length(metrics.depthRmseMedianScaled) },
    { name: 'Depth AbsRel', value: metrics.depthAbsRel.toFixed(3) },
    { name: 'Depth δ < 1.25', value: `${(100 * metrics.depthDelta1).toFixed(1)} %` },
  ];
  if (metrics.rotationDeg === undefined) return rows;
  return [
    ...rows,
    { name: 'Relative rotation error', value: `${metrics.rotationDeg.toFixed(1)}°` },
  ];
}
