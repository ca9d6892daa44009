import { resolve } from 'node:path';
import { type GeometryLabelsV1, resampleLabels } from '@spatialsv/core';
import { learnableLabels } from '@spatialsv/train';
import type { LiftSubject } from './lift.js';

/**
 * Labels of the pictures in the form in which the heads learn them, at the size of the heads' maps and through the same
 * crop.
 * @returns undefined when no source is named.
 * @throws SpatialError PLUGIN_UNKNOWN for an unknown source, DATA_INVALID when it has no geometry for the pictures.
 */
export async function labelsLikePredictions(
  { plugins, images, inputs }: LiftSubject,
  { height, width }: { readonly height: number; readonly width: number },
  { source, images: paths }: { readonly source?: string; readonly images: readonly string[] },
  signal: AbortSignal,
): Promise<GeometryLabelsV1 | undefined> {
  if (source === undefined) return undefined;
  const found = await plugins
    .resolveSupervisionSource(source)
    .doSupervise({ images: paths.map((path) => resolve(path)), signal });
  const labels = learnableLabels(found, source);
  const windows = inputs.grids.map(({ covered }, view) => {
    const sx = labels.width / images[view]!.width;
    const sy = labels.height / images[view]!.height;
    return { x0: covered.x0 * sx, x1: covered.x1 * sx, y0: covered.y0 * sy, y1: covered.y1 * sy };
  });
  return resampleLabels(labels, { height, width, windows });
}
