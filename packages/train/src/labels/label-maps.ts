import {
  checkLabels,
  type GeometryLabelsV1,
  inFirstCamera,
  labelMaps,
  normaliseLabels,
  type PixelWindow,
  resampleLabels,
  type ViewGridV1,
} from '@spatialsv/core';

/** Labels of one view at the output size of the heads. */
export interface ViewLabels {
  /** (H, W) z-depth, 0 where it is not valid. */
  readonly depth: Float32Array;
  /** (H, W) 1 where depth is valid. */
  readonly mask: Float32Array;
  /** (H, W, 6) origin, direction with camera z = 1, in the frame of the first camera. */
  readonly rays: Float32Array;
  /** (H, W) 1: rays exist wherever the camera is known, in the sky too. */
  readonly rayMask: Float32Array;
  /** (H, W, 3) origin + depth · direction. */
  readonly points: Float32Array;
}

/** Where a label map is to be sampled. */
export interface LabelTarget {
  readonly height: number;
  readonly width: number;
  /** Rectangle of the image that the grid sees, in pixels of the image. */
  readonly covered: ViewGridV1['covered'];
  /** Size of the image as it was given to the backbone, in pixels. */
  readonly image: { readonly height: number; readonly width: number };
}

/**
 * Labels in the form in which they are learnt: world = first camera, lengths divided by the mean distance of the valid
 * points of all views.
 * @throws SpatialError as checkLabels and normaliseLabels do, naming the source.
 */
export function learnableLabels(labels: GeometryLabelsV1, source: string): GeometryLabelsV1 {
  checkLabels(labels, `labels of '${source}'`);
  return normaliseLabels(inFirstCamera(labels)).labels;
}

/**
 * Brings the labels of one view to the size of the predictions: depth and mask by the nearest pixel (depth is never
 * blended across edges), rays anew from the camera, points from the two (eq. 8, 9).
 * @param labels as {@link learnableLabels} returns them.
 */
export function viewLabels(
  labels: GeometryLabelsV1,
  view: number,
  target: LabelTarget,
): ViewLabels {
  const { height, width } = target;
  const windows = [labelWindow(labels, target)];
  const resampled = resampleLabels(singleView(labels, view), { height, width, windows });
  const { rays, points } = labelMaps(resampled);
  const mask = Float32Array.from(resampled.mask);
  return {
    depth: resampled.depth.map((depth, pixel) => (mask[pixel] === 1 ? depth : 0)),
    mask,
    rays,
    rayMask: new Float32Array(mask.length).fill(1),
    points,
  };
}

/** The covered rectangle in pixels of the label. */
export function labelWindow(
  labels: Pick<GeometryLabelsV1, 'height' | 'width'>,
  { covered, image }: Pick<LabelTarget, 'covered' | 'image'>,
): PixelWindow {
  const sx = labels.width / image.width;
  const sy = labels.height / image.height;
  return { x0: covered.x0 * sx, x1: covered.x1 * sx, y0: covered.y0 * sy, y1: covered.y1 * sy };
}

function singleView(labels: GeometryLabelsV1, view: number): GeometryLabelsV1 {
  const { conventions, height, width } = labels;
  const pixels = height * width;
  const part = <Values extends Float32Array | Uint8Array>(values: Values, size: number) =>
    values.slice(view * size, (view + 1) * size) as Values;
  return {
    conventions,
    views: 1,
    height,
    width,
    depth: part(labels.depth, pixels),
    mask: part(labels.mask, pixels),
    intrinsics: part(labels.intrinsics, 9),
    extrinsicsWorldToCamera: part(labels.extrinsicsWorldToCamera, 12),
  };
}
