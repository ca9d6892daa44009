import { resolve } from 'node:path';
import {
  type GeometryLabelsV1,
  type PluginRegistry,
  resampleLabels,
  withCleanup,
} from '@spatialsv/core';
import { learnableLabels } from '@spatialsv/train';
import type { LiftSubject } from './lift.js';

/** Which labels of which images. */
interface LabelsOfImages {
  readonly source?: string;
  readonly weights?: string;
  readonly device: string;
  readonly images: readonly string[];
}

/**
 * Labels of the images in the form in which the heads learn them, at the size of the heads' maps and through the same
 * crop.
 * @returns undefined when no source is named.
 * @throws SpatialError PLUGIN_UNKNOWN for an unknown source, DATA_INVALID when it has no geometry for the images.
 */
export async function labelsLikePredictions(
  { plugins, images, inputs }: LiftSubject,
  { height, width }: { readonly height: number; readonly width: number },
  request: LabelsOfImages,
  signal: AbortSignal,
): Promise<GeometryLabelsV1 | undefined> {
  const { source } = request;
  if (source === undefined) return undefined;
  const found = await labelViewSet(plugins, source, request, signal);
  return likePredictions(learnableLabels(found, source), { images, inputs }, { height, width });
}

/**
 * Labels at the size of the heads' maps, through the crop of the views.
 * @param labels as `learnableLabels` gives them.
 */
export function likePredictions(
  labels: GeometryLabelsV1,
  { images, inputs }: Pick<LiftSubject, 'images' | 'inputs'>,
  { height, width }: { readonly height: number; readonly width: number },
): GeometryLabelsV1 {
  const windows = inputs.grids.map(({ covered }, view) => {
    const sx = labels.width / images[view]!.width;
    const sy = labels.height / images[view]!.height;
    return { x0: covered.x0 * sx, x1: covered.x1 * sx, y0: covered.y0 * sy, y1: covered.y1 * sy };
  });
  return resampleLabels(labels, { height, width, windows });
}

async function labelViewSet(
  plugins: PluginRegistry,
  source: string,
  { weights, device, images }: LabelsOfImages,
  signal: AbortSignal,
): Promise<GeometryLabelsV1> {
  const labeller = await plugins
    .resolveSupervisionSource(source)
    .open({ device, ...(weights !== undefined && { weights }) });
  const paths = images.map((image) => resolve(image));
  return withCleanup(
    () => labeller.doSupervise({ images: paths, signal }),
    () => labeller.dispose(),
  );
}
