import type { GeometryLabelsV1, LabelProvenanceV1, RgbImage } from '@spatialsv/core';
import type { CoveredRectangle, PointCloudInput } from '../point-cloud.js';

/** A labelled view set, as a label store keeps it. */
export interface LabelSet {
  /** Key in the store. */
  readonly key: string;
  readonly labels: GeometryLabelsV1;
  readonly provenance: LabelProvenanceV1;
  /** By view. */
  readonly images: readonly LabelImage[];
  /** Part of each image that the maps cover, in its pixels; the whole image where absent. */
  readonly covered?: readonly CoveredRectangle[];
}

export interface LabelImage {
  /** Absolute. */
  readonly path: string;
  /** Pixels, EXIF orientation applied. */
  readonly width: number;
  readonly height: number;
}

/** A file of an export; its name is relative to the folder of the set. */
export interface ExportedFile {
  readonly name: string;
  readonly data: Uint8Array | string;
}

/**
 * What a point cloud of labels is built from. Depth is not given on purpose: points at depth edges stay, labels are shown
 * as they are.
 * @param points (V, H, W, 3). @param photos one image per view.
 */
export function cloudInput(
  labels: GeometryLabelsV1,
  points: Float32Array,
  photos: readonly RgbImage[],
  covered?: readonly CoveredRectangle[],
): PointCloudInput {
  const { views, height, width, mask, depthConfidence } = labels;
  return {
    points,
    views,
    height,
    width,
    images: photos,
    covered,
    mask,
    confidence: depthConfidence,
  };
}
