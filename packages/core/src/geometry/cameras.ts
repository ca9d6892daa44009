import { SpatialError } from '../errors.js';
import type { GeometryConventionsV1 } from '../spec.js';
import { apply3, type Matrix3, multiply3, type Rigid, type Triple, transpose3 } from './matrix.js';
import { matrixToQuaternion, quaternionToMatrix } from './rotation.js';

export type PixelCentre = GeometryConventionsV1['pixelCentre'];

/** Distance from a pixel's index to the coordinate of its centre: u = j + offset. */
export const pixelOffset = (pixelCentre: PixelCentre): number => (pixelCentre === 'half' ? 0.5 : 0);

export interface ImageSize {
  readonly width: number;
  readonly height: number;
}

export interface FieldOfView {
  /** Vertical, rad. */
  readonly fovHeightRad: number;
  /** Horizontal, rad. */
  readonly fovWidthRad: number;
}

/**
 * Pinhole intrinsics of a field of view, principal point in the middle (W/2, H/2).
 * @returns (3, 3) pixels. A field of view of 0 gives an infinite focal length.
 * Equation: fx = (W/2)/tan(fovW/2), fy = (H/2)/tan(fovH/2). Source: VGGT, vggt/utils/pose_enc.py.
 */
export const intrinsicsFromFov = (fov: FieldOfView, { width, height }: ImageSize): number[] => [
  width / 2 / Math.tan(fov.fovWidthRad / 2),
  0,
  width / 2,
  0,
  height / 2 / Math.tan(fov.fovHeightRad / 2),
  height / 2,
  0,
  0,
  1,
];

/** Inverse of {@link intrinsicsFromFov}; the principal point is not part of a field of view and is dropped. */
export const fovFromIntrinsics = (
  intrinsics: Matrix3,
  { width, height }: ImageSize,
): FieldOfView => ({
  fovHeightRad: 2 * Math.atan(height / (2 * intrinsics[4]!)),
  fovWidthRad: 2 * Math.atan(width / (2 * intrinsics[0]!)),
});

/** Rotation part of [R | t], (3, 3). */
export const rotationOf = (rigid: Rigid): number[] =>
  [0, 1, 2, 4, 5, 6, 8, 9, 10].map((i) => rigid[i]!);

/** Translation part of [R | t]. */
export const translationOf = (rigid: Rigid): Triple => [rigid[3]!, rigid[7]!, rigid[11]!];

/** [R | t], (3, 4). */
export const rigidFrom = (rotation: Matrix3, translation: ArrayLike<number>): number[] =>
  [0, 1, 2].flatMap((row) => [
    rotation[3 * row]!,
    rotation[3 * row + 1]!,
    rotation[3 * row + 2]!,
    translation[row]!,
  ]);

/** Inverse of a rigid transform: [Rᵀ | −Rᵀt]. Turns world-to-camera into camera-to-world and back. */
export const invertRigid = (rigid: Rigid): number[] => {
  const inverse = transpose3(rotationOf(rigid));
  const [x, y, z] = apply3(inverse, translationOf(rigid));
  return rigidFrom(inverse, [-x, -y, -z]);
};

/** The transform that applies `first`, then `second`: [R₂R₁ | R₂t₁ + t₂]. */
export const composeRigid = (second: Rigid, first: Rigid): number[] => {
  const rotation = rotationOf(second);
  const moved = apply3(rotation, translationOf(first));
  const shift = translationOf(second);
  return rigidFrom(
    multiply3(rotation, rotationOf(first)),
    moved.map((value, i) => value + shift[i]!),
  );
};

/** Camera centre in the world: −Rᵀt. */
export const cameraCentre = (extrinsicsWorldToCamera: Rigid): Triple =>
  translationOf(invertRigid(extrinsicsWorldToCamera));

/** Matrix `view` of a stack of matrices with `size` entries each. */
export const matrixOfView = (
  stack: ArrayLike<number>,
  view: number,
  size: 9 | 12,
): readonly number[] => Array.from({ length: size }, (_, i) => stack[view * size + i]!);

/**
 * Re-expresses cameras so that the world is the frame of view 0: E_i·E_0⁻¹.
 * @param extrinsicsWorldToCamera (V, 3, 4).
 * @returns (V, 3, 4); view 0 is exactly the identity.
 */
export const relativeToFirst = (extrinsicsWorldToCamera: ArrayLike<number>): Float32Array => {
  const views = extrinsicsWorldToCamera.length / 12;
  const fromFirst = invertRigid(matrixOfView(extrinsicsWorldToCamera, 0, 12));
  const relative = new Float32Array(extrinsicsWorldToCamera.length);
  relative.set([1, 0, 0, 0, 0, 1, 0, 0, 0, 0, 1, 0]);
  for (let view = 1; view < views; view++)
    relative.set(
      composeRigid(matrixOfView(extrinsicsWorldToCamera, view, 12), fromFirst),
      view * 12,
    );
  return relative;
};

/** Rectangle in pixel edges: x from x0 to x1, y from y0 to y1. */
export interface PixelWindow {
  readonly x0: number;
  readonly y0: number;
  readonly x1: number;
  readonly y1: number;
}

/**
 * Intrinsics after cutting `window` out of an image and resizing it.
 * @param intrinsics (3, 3) pixels of the old image.
 * @param window in pixel edges of the old image: its upper left corner is (0, 0) in either pixel convention.
 * @param to size of the new image.
 * @returns (3, 3) pixels of the new image, in the same pixel convention.
 */
export const cropIntrinsics = (
  intrinsics: Matrix3,
  window: PixelWindow,
  to: ImageSize,
  pixelCentre: PixelCentre,
): number[] => {
  const sx = to.width / (window.x1 - window.x0);
  const sy = to.height / (window.y1 - window.y0);
  // Edges scale; integer centres lie half a pixel before them.
  const toEdge = 0.5 - pixelOffset(pixelCentre);
  const centre = (value: number, start: number, scale: number): number =>
    (value + toEdge - start) * scale - toEdge;
  // biome-ignore format: rows of a matrix
  return [
    intrinsics[0]! * sx, intrinsics[1]! * sx, centre(intrinsics[2]!, window.x0, sx),
    0, intrinsics[4]! * sy, centre(intrinsics[5]!, window.y0, sy),
    0, 0, 1,
  ];
};

/** Intrinsics of the same view at another resolution. @returns (3, 3). */
export const scaleIntrinsics = (
  intrinsics: Matrix3,
  from: ImageSize,
  to: ImageSize,
  pixelCentre: PixelCentre,
): number[] =>
  cropIntrinsics(intrinsics, { x0: 0, y0: 0, x1: from.width, y1: from.height }, to, pixelCentre);

/** One camera. */
export interface Camera {
  /** (3, 3) pixels. */
  readonly intrinsics: Matrix3;
  /** (3, 4). */
  readonly extrinsicsWorldToCamera: Rigid;
}

/**
 * VGGT's pose encoding of a camera.
 * @returns (9) t of world-to-camera (3), its quaternion xyzw (4), fovH, fovW in rad.
 * Depth Anything 3 uses the same order for the camera-to-world transform: invert first.
 */
export const encodePose = (camera: Camera, size: ImageSize): number[] => {
  const { fovHeightRad, fovWidthRad } = fovFromIntrinsics(camera.intrinsics, size);
  const quaternion = matrixToQuaternion(rotationOf(camera.extrinsicsWorldToCamera));
  const translation = translationOf(camera.extrinsicsWorldToCamera);
  return [...translation, ...quaternion, fovHeightRad, fovWidthRad];
};

/** Inverse of {@link encodePose}; the principal point is the middle of the image. */
export const decodePose = (poseEncoding: ArrayLike<number>, size: ImageSize): Camera => {
  const [tx, ty, tz, x, y, z, w, fovHeightRad, fovWidthRad] = Array.from(poseEncoding) as number[];
  return {
    intrinsics: intrinsicsFromFov({ fovHeightRad: fovHeightRad!, fovWidthRad: fovWidthRad! }, size),
    extrinsicsWorldToCamera: rigidFrom(quaternionToMatrix([x!, y!, z!, w!]), [tx!, ty!, tz!]),
  };
};

/**
 * Checks the convention record of a geometric value.
 * @param where what carries the record, for the message.
 * @throws SpatialError CONVENTION_MISMATCH naming the first member that differs. Nothing is ever converted silently.
 */
export const requireConventions = (
  found: GeometryConventionsV1,
  expected: Partial<GeometryConventionsV1>,
  where: string,
): void => {
  for (const [name, value] of Object.entries(expected)) {
    const actual = found[name as keyof GeometryConventionsV1];
    if (actual !== value)
      throw new SpatialError({
        code: 'CONVENTION_MISMATCH',
        message: `${where}: expected ${name} "${value}", found "${actual}"`,
        hint: 'Convert the value explicitly, or fix the convention record of its source.',
      });
  }
};
