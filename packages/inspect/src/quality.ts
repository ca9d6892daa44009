import { depthMetrics, type GeometryLabelsV1, pointsFromRays } from '@spatialsv/core';
import { headAgreement } from './agreement.js';
import { cloudMetrics } from './cloud-metrics.js';
import { labelMetrics } from './label-metrics.js';
import type { StoredLift } from './lift-file.js';
import type { LiftPredictions } from './lift-input.js';
import { camerasFromRays } from './view-cameras.js';

/** One number for how good a lift of a view set is. */
export interface QualityMeasure {
  readonly title: string;
  readonly better: 'lower' | 'higher';
  /** Whether it is measured beside labels. */
  readonly needsLabels: boolean;
}

/** Measures of a lift. Depth errors are means over the views of per-view values, as El Banani et al. (2024) take them. */
export const QUALITY_MEASURES = {
  'depth-rmse': measure('Depth RMSE', 'lower'),
  'depth-rmse-median': measure('Depth RMSE, median-scaled', 'lower'),
  'depth-rmse-affine': measure('Depth RMSE, scaled and shifted', 'lower'),
  'depth-abs-rel': measure('Depth AbsRel', 'lower'),
  'depth-delta1': measure('Depth δ < 1.25', 'higher'),
  rotation: measure('Relative rotation error (°)', 'lower'),
  chamfer: measure('Chamfer distance', 'lower'),
  'f-score': measure('F-score of points', 'higher'),
  agreement: { ...measure('Heads apart, share of distance', 'lower'), needsLabels: false },
} as const satisfies Record<string, QualityMeasure>;

export type QualityName = keyof typeof QUALITY_MEASURES;

function measure(title: string, better: QualityMeasure['better']): QualityMeasure {
  return { title, better, needsLabels: true };
}

/**
 * Quality of a lift by one measure.
 * @returns undefined where the lift does not have what it takes: labels with a valid pixel, two views with cameras, a point head.
 */
export function liftQuality(
  { predictions, labels }: Pick<StoredLift, 'predictions' | 'labels'>,
  name: QualityName,
): number | undefined {
  if (name === 'agreement') return meanAgreement(predictions);
  if (!labels?.mask.includes(1)) return undefined;
  if (name === 'rotation') {
    return labelMetrics(predictions.depth, camerasOf(predictions), labels).rotationDeg;
  }
  if (name === 'chamfer' || name === 'f-score') return cloudQuality(predictions, labels, name);
  return depthQuality(predictions, labels, name);
}

function meanAgreement(predictions: LiftPredictions): number | undefined {
  const views = headAgreement(predictions)?.views;
  return views && views.reduce((sum, { relative }) => sum + relative, 0) / views.length;
}

type DepthQuality = Extract<QualityName, `depth-${string}`>;

function depthQuality(
  { depth }: LiftPredictions,
  { depth: target, mask, views }: GeometryLabelsV1,
  name: DepthQuality,
): number {
  const found = depthMetrics({ prediction: depth, target, mask, views });
  const values: Readonly<Record<DepthQuality, number>> = {
    'depth-rmse': found.raw.rmse,
    'depth-rmse-median': found['median-scale'].rmse,
    'depth-rmse-affine': found['scale-and-shift'].rmse,
    'depth-abs-rel': found.raw.absRel,
    'depth-delta1': found.raw.delta1,
  };
  return values[name];
}

function cloudQuality(
  predictions: LiftPredictions,
  labels: GeometryLabelsV1,
  name: 'chamfer' | 'f-score',
): number | undefined {
  const points = pointsOf(predictions);
  const found = points && cloudMetrics(points, labels);
  return name === 'chamfer' ? found?.raw.chamfer : found?.raw.fScore;
}

const camerasOf = ({ rays, rayConfidence, conventions, ...size }: LiftPredictions) =>
  rays === undefined ? [] : camerasFromRays(rays, size, conventions.pixelCentre, rayConfidence);

function pointsOf(predictions: LiftPredictions): Float32Array | undefined {
  const { rays, points, depth } = predictions;
  return rays === undefined ? points : pointsFromRays(rays, depth);
}
