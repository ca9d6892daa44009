import { type GeometryLabelsV1, SpatialError, type ViewGridV1 } from '@spatialsv/core';

/** Labels of one view at the output size of the heads. */
export interface ViewLabels {
  /** (H, W) z-depth, 0 where it is not valid. */
  readonly depth: Float32Array;
  /** (H, W) 1 where depth is valid. */
  readonly mask: Float32Array;
  /** (H, W, 6) origin, direction with camera z = 1, in the frame of the first camera. */
  readonly rays: Float32Array;
  /** (H, W) 1 where the view has a finite pose. */
  readonly rayMask: Float32Array;
  /** (H, W, 3) origin + depth · direction. */
  readonly points: Float32Array;
}

/** Where a label map is to be sampled. */
export interface LabelTarget {
  readonly height: number;
  readonly width: number;
  /** Rectangle of the image that the grid sees, in pixels. */
  readonly covered: ViewGridV1['covered'];
  /** Size of the image as it was given to the backbone, in pixels. */
  readonly image: { readonly height: number; readonly width: number };
}

/** Rotation (row-major) and centre of a camera, in the frame of the first camera. */
export interface CameraPose {
  /** Camera-to-world, 9 values. */
  readonly rotation: readonly number[];
  readonly centre: readonly number[];
}

/**
 * Brings the labels of one view to the size of the predictions: depth and mask by the nearest pixel (depth is never
 * blended across edges), rays anew from the camera at the pixel centres of the target, points from the two (eq. 8, 9).
 * @param scale lengths are divided by this.
 */
export function resampleView(
  labels: GeometryLabelsV1,
  view: number,
  pose: CameraPose,
  target: LabelTarget,
  scale: number,
): ViewLabels {
  const pixels = target.height * target.width;
  const known = [...pose.rotation, ...pose.centre].every(Number.isFinite);
  const maps: ViewLabels = {
    depth: new Float32Array(pixels),
    mask: new Float32Array(pixels),
    rays: new Float32Array(6 * pixels),
    rayMask: new Float32Array(pixels).fill(known ? 1 : 0),
    points: new Float32Array(3 * pixels),
  };
  if (!known) return maps;
  const sample = labelSampler(labels, view, target);
  const writeDirection = directionWriter(labels, view, pose);
  const origin = pose.centre.map((value) => value / scale);
  for (let index = 0; index < pixels; index++) {
    const { u, v, depth } = sample(index);
    maps.rays.set(origin, 6 * index);
    writeDirection(u, v, maps.rays, 6 * index + 3);
    fillDepth(maps, index, depth / scale);
  }
  return maps;
}

/** Depth, and the point at it on the pixel's ray. */
function fillDepth(maps: ViewLabels, index: number, depth: number): void {
  if (!(depth > 0 && Number.isFinite(depth))) return;
  maps.depth[index] = depth;
  maps.mask[index] = 1;
  for (let axis = 0; axis < 3; axis++) {
    const ray = 6 * index + axis;
    maps.points[3 * index + axis] = maps.rays[ray]! + depth * maps.rays[ray + 3]!;
  }
}

/** Position of a target pixel in the label map (u, v: continuous, pixel centres at ½) and the label's depth there, 0 where invalid. */
function labelSampler(labels: GeometryLabelsV1, view: number, target: LabelTarget) {
  const { height, width } = labels;
  const { covered, image } = target;
  const at = (from: number, to: number, step: number, steps: number) =>
    from + ((step + 0.5) / steps) * (to - from);
  return (index: number) => {
    const x = at(covered.x0, covered.x1, index % target.width, target.width);
    const y = at(covered.y0, covered.y1, Math.floor(index / target.width), target.height);
    const u = (x * width) / image.width;
    const v = (y * height) / image.height;
    const row = Math.min(height - 1, Math.max(0, Math.floor(v)));
    const column = Math.min(width - 1, Math.max(0, Math.floor(u)));
    const pixel = (view * height + row) * width + column;
    return { u, v, depth: labels.mask[pixel] === 1 ? labels.depth[pixel]! : 0 };
  };
}

/** d = R · K⁻¹ · [u, v, 1] with u, v in label pixels, centres at ½ (eq. 8). */
function directionWriter(labels: GeometryLabelsV1, view: number, { rotation }: CameraPose) {
  const k = labels.intrinsics.subarray(9 * view, 9 * view + 9);
  const shift = labels.conventions.pixelCentre === 'half' ? 0 : -0.5;
  return (u: number, v: number, out: Float32Array, offset: number): void => {
    const y = (v + shift - k[5]!) / k[4]!;
    const x = (u + shift - k[2]! - k[1]! * y) / k[0]!;
    for (let row = 0; row < 3; row++) {
      const r = 3 * row;
      out[offset + row] = rotation[r]! * x + rotation[r + 1]! * y + rotation[r + 2]!;
    }
  };
}

/** Camera-to-world poses with the first camera as the world frame: E_i ← E_i · E_0⁻¹, then inverted. */
export function posesInFirstCamera(labels: GeometryLabelsV1): readonly CameraPose[] {
  const extrinsics = Array.from({ length: labels.views }, (_, view) => {
    const e = [...labels.extrinsicsWorldToCamera.subarray(12 * view, 12 * view + 12)];
    const at = (row: number, column: number) => e[4 * row + column]!;
    return {
      rotation: [0, 1, 2].map((row) => [0, 1, 2].map((column) => at(row, column))),
      translation: [0, 1, 2].map((row) => at(row, 3)),
    };
  });
  const first = extrinsics[0]!;
  return extrinsics.map(({ rotation, translation }) => {
    // The centre −Rᵀt in the old world, then x ↦ R₀x + t₀ into the first camera.
    const centre = [0, 1, 2].map((i) => -dot(column(rotation, i), translation));
    const turned = first.rotation.map((row) => [0, 1, 2].map((j) => dot(row, rotation[j]!)));
    return {
      rotation: turned.flat(),
      centre: first.rotation.map((row, i) => dot(row, centre) + first.translation[i]!),
    };
  });
}

type Matrix = readonly (readonly number[])[];

const column = (matrix: Matrix, index: number): readonly number[] =>
  matrix.map((row) => row[index]!);
const dot = (a: readonly number[], b: readonly number[]): number =>
  a.reduce((sum, value, index) => sum + value * b[index]!, 0);

/**
 * Scale of a view set: mean ‖P‖ over the valid pixels of all views, P in the frame of the first camera.
 * Source: VGGT, training/train_utils/normalization.py; DepthAnything 3, section 3.3.
 * @returns 1 when no pixel is valid.
 */
export function sceneScale(labels: GeometryLabelsV1, poses: readonly CameraPose[]): number {
  let sum = 0;
  let count = 0;
  const { height, width } = labels;
  const whole = { x0: 0, y0: 0, x1: width, y1: height };
  const target = { height, width, covered: whole, image: { height, width } };
  poses.forEach((pose, view) => {
    const { points, mask } = resampleView(labels, view, pose, target, 1);
    mask.forEach((valid, index) => {
      if (valid === 0) return;
      sum += Math.hypot(points[3 * index]!, points[3 * index + 1]!, points[3 * index + 2]!);
      count += 1;
    });
  });
  const mean = sum / count;
  return count === 0 || mean === 0 ? 1 : mean;
}

/**
 * Refuses labels whose conventions the losses do not speak.
 * @throws SpatialError CONVENTION_MISMATCH.
 */
export function requireConventions(labels: GeometryLabelsV1, source: string): void {
  const { axes, extrinsics, depth } = labels.conventions;
  const found = `${axes}, ${extrinsics}, ${depth}`;
  if (found === 'opencv, world-to-camera, z-depth') return;
  throw new SpatialError({
    code: 'CONVENTION_MISMATCH',
    message: `labels of '${source}': expected opencv axes, world-to-camera extrinsics and z-depth, found ${found}`,
    hint: 'Convert the labels in the source; SpatialSV never converts conventions silently.',
  });
}
