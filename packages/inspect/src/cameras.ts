import type { GeometryConventionsV1 } from '@spatialsv/core';

/** How well the rays of a map agree on their camera. */
export interface CameraFit {
  /** Share of the rays that agree with it, 0 to 1. */
  readonly inlierShare: number;
  /** Root mean square angle between those and the camera's own rays, degrees. */
  readonly residualDeg: number;
  /** Median distance of their origins from the camera centre, in the unit of the maps. */
  readonly originSpread: number;
}

/** One camera of a view set: pinhole, OpenCV axes (x right, y down, z forward). */
export interface ViewCamera {
  /** (3, 3) row-major pixels of an image of `width` × `height`. */
  readonly intrinsics: Float32Array;
  /** (3, 4) row-major [R | t]. */
  readonly extrinsicsWorldToCamera: Float32Array;
  readonly width: number;
  readonly height: number;
  /** Where it was found in a ray map. */
  readonly fit?: CameraFit;
}

type Vector = readonly [number, number, number];

/** Camera centre in the world frame: −Rᵀ t. */
export function cameraCentre(camera: ViewCamera): Vector {
  return cameraToWorld(camera, [0, 0, 0]);
}

/** World position of a point given in the camera frame: Rᵀ (p − t). */
export function cameraToWorld(camera: ViewCamera, point: Vector): Vector {
  const e = camera.extrinsicsWorldToCamera;
  const d = [point[0] - e[3]!, point[1] - e[7]!, point[2] - e[11]!] as const;
  const row = (c: number) => e[c]! * d[0] + e[4 + c]! * d[1] + e[8 + c]! * d[2];
  return [row(0), row(1), row(2)];
}

/**
 * Line segments of a camera's frustum: four edges from the centre, and the rectangle of the image plane at z = `depth`
 * with a small mark above its upper edge.
 * @returns (n, 2, 3) float32 world positions.
 */
export function frustumSegments(camera: ViewCamera, depth: number): Float32Array {
  const [fx, , cx, , fy, cy] = camera.intrinsics;
  const at = (u: number, v: number): Vector =>
    cameraToWorld(camera, [((u - cx!) / fx!) * depth, ((v - cy!) / fy!) * depth, depth]);
  const { width: w, height: h } = camera;
  const corners = [at(0, 0), at(w, 0), at(w, h), at(0, h)];
  const centre = cameraCentre(camera);
  const tip = at(w / 2, -0.25 * h);
  const rim = corners.map((corner, i) => [corner, corners[(i + 1) % 4]!]);
  const edges = corners.map((corner) => [centre, corner]);
  const mark = [
    [at(0.35 * w, 0), tip],
    [tip, at(0.65 * w, 0)],
  ];
  return Float32Array.from([...edges, ...rim, ...mark].flat(2));
}

/** What `cameras.json` holds. */
export interface CameraFile {
  readonly conventions: GeometryConventionsV1 & {
    readonly matrices: 'row-major';
    readonly intrinsicsUnit: 'pixels';
    readonly origin: string;
  };
  /** null for a view without a camera. */
  readonly cameras: readonly (CameraEntry | null)[];
}

export interface CameraEntry {
  readonly view: number;
  readonly image?: string;
  readonly width: number;
  readonly height: number;
  readonly intrinsics: number[][];
  readonly extrinsicsWorldToCamera: number[][];
  readonly centre: number[];
  readonly fit?: CameraFit;
}

/**
 * Cameras as plain JSON, with the conventions that make the numbers readable.
 * @param origin how the cameras were found, for example `ray map` or `label`.
 */
export function cameraFile(
  cameras: readonly (ViewCamera | undefined)[],
  conventions: GeometryConventionsV1,
  origin: string,
  images: readonly (string | undefined)[] = [],
): CameraFile {
  return {
    conventions: { ...conventions, matrices: 'row-major', intrinsicsUnit: 'pixels', origin },
    cameras: cameras.map((camera, view) =>
      camera === undefined ? null : entry(camera, view, images[view]),
    ),
  };
}

function entry(camera: ViewCamera, view: number, image: string | undefined): CameraEntry {
  return {
    view,
    ...(image === undefined ? {} : { image }),
    width: camera.width,
    height: camera.height,
    intrinsics: rows(camera.intrinsics, 3),
    extrinsicsWorldToCamera: rows(camera.extrinsicsWorldToCamera, 4),
    centre: [...cameraCentre(camera)],
    ...(camera.fit && { fit: camera.fit }),
  };
}

function rows(values: Float32Array, columns: number): number[][] {
  return Array.from({ length: values.length / columns }, (_, r) => [
    ...values.subarray(r * columns, (r + 1) * columns),
  ]);
}
