import {
  type GeometryLabelsV1,
  type LabellerV1,
  openStoredLabels,
  type PluginRegistry,
  type PreparedInputsV1,
  type RgbImage,
  resampleLabels,
  SpatialError,
} from '@spatialsv/core';
import type { ProgramTarget } from '@spatialsv/engine';
import { openSourceWith } from '../labels/open-source.js';

/** Which labels are put beside what the heads say. */
export interface LiftLabelOptions {
  readonly labels?: string;
  readonly source?: string;
  readonly weights?: string;
}

/**
 * Opens the labels of a store, or the source that makes them.
 * @throws SpatialError USAGE when both are given.
 */
export async function openLabels(
  { labels, source, weights }: LiftLabelOptions,
  target: ProgramTarget,
  plugins: PluginRegistry,
): Promise<LabellerV1 | undefined> {
  if (labels !== undefined && weights !== undefined)
    throw new SpatialError({
      code: 'USAGE',
      message: '--weights beside --labels: the labels of a store were made before',
      hint: 'Give either --labels, or --source with its --weights.',
    });
  if (labels !== undefined) return openStoredLabels(labels, source);
  if (source === undefined) return undefined;
  return openSourceWith(plugins.resolveLabelSource(source), {
    ...target,
    ...(weights !== undefined && { weights }),
  });
}

/** Images as a backbone was given them, and what it sees of them. */
export interface SeenViews {
  readonly images: readonly RgbImage[];
  readonly inputs: PreparedInputsV1;
}

/**
 * Labels at the size of the heads' maps, through the crop of the views.
 * @param labels as `learnableLabels` gives them.
 */
export function likePredictions(
  labels: GeometryLabelsV1,
  { images, inputs }: SeenViews,
  { height, width }: { readonly height: number; readonly width: number },
): GeometryLabelsV1 {
  const windows = inputs.grids.map(({ covered }, view) => {
    const sx = labels.width / images[view]!.width;
    const sy = labels.height / images[view]!.height;
    return { x0: covered.x0 * sx, x1: covered.x1 * sx, y0: covered.y0 * sy, y1: covered.y1 * sy };
  });
  return resampleLabels(labels, { height, width, windows });
}
