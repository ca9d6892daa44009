import {
  cropIntrinsics,
  decodePose,
  type GraphFile,
  type ImageSize,
  invertRigid,
  rotationOf,
} from '@spatialsv/core/kit';
import { type NetworkImage, seenWindow } from './network-images.js';
import type { Plan } from './plan.js';
import { reject } from './reject.js';
import { type Outputs, readOutput } from './run-graph.js';

/** Cameras of all views in the world of the graph. */
export interface Cameras {
  /** (V, 3, 3) pixels of the network's input. */
  readonly intrinsics: Float32Array;
  /** (V, 3, 4). */
  readonly worldToCamera: Float32Array;
}

const IDENTITY = [1, 0, 0, 0, 0, 1, 0, 0, 0, 0, 1, 0] as const;

/**
 * Reads cameras in the conventions of the plan, and checks them.
 * @throws SpatialError DATA_INVALID for rotations that are none to 1e-2, and for intrinsics of no pinhole camera.
 */
export function readCameras(
  plan: Plan,
  images: readonly NetworkImage[],
  outputs: Outputs,
): Cameras {
  const cameras = plan.outputs.pose
    ? decodePoses(plan.outputs.pose, images, outputs)
    : {
        intrinsics: readIntrinsics(plan, images, outputs),
        worldToCamera: readExtrinsics(plan, images, outputs),
      };
  images.forEach((size, view) => {
    const rigid = cameras.worldToCamera.subarray(12 * view, 12 * view + 12);
    assertRigid(outputs.graph, rigid, view);
    assertPinhole(outputs.graph, cameras.intrinsics.subarray(9 * view, 9 * view + 9), size, view);
  });
  return cameras;
}

function decodePoses(
  pose: NonNullable<Plan['outputs']['pose']>,
  images: readonly NetworkImage[],
  outputs: Outputs,
): Cameras {
  const encodings = readOutput(outputs, pose.name, [9]);
  const cameras = images.map((size, view) =>
    decodePose(encodings.subarray(9 * view, 9 * view + 9), size),
  );
  const toCamera = (rigid: ArrayLike<number>) =>
    pose.encoding === 'vggt-w2c' ? Array.from(rigid) : invertRigid(rigid);
  return {
    intrinsics: Float32Array.from(cameras.flatMap(({ intrinsics }) => Array.from(intrinsics))),
    worldToCamera: Float32Array.from(
      cameras.flatMap(({ extrinsicsWorldToCamera }) => toCamera(extrinsicsWorldToCamera)),
    ),
  };
}

function readIntrinsics(
  { outputs: { intrinsics }, fieldOfViewDegrees, pixelCentre }: Plan,
  images: readonly NetworkImage[],
  outputs: Outputs,
): Float32Array {
  if (intrinsics !== undefined) return readOutput(outputs, intrinsics, [3, 3]);
  const fovRad = (fieldOfViewDegrees! * Math.PI) / 180;
  const matrices = images.map((image) => {
    const { width, height } = image.original;
    const focal = width / 2 / Math.tan(fovRad / 2);
    // The principal point is the middle of the image, whichever pixel coordinates are counted.
    const shift = pixelCentre === 'half' ? 0 : 0.5;
    const whole = [focal, 0, width / 2 - shift, 0, focal, height / 2 - shift, 0, 0, 1];
    return cropIntrinsics(whole, seenWindow(image), image, pixelCentre);
  });
  return Float32Array.from(matrices.flat());
}

function readExtrinsics(
  { outputs: { extrinsics } }: Plan,
  images: readonly NetworkImage[],
  outputs: Outputs,
): Float32Array {
  if (extrinsics === undefined) return Float32Array.from(images.flatMap(() => [...IDENTITY]));
  const rows = outputs.results[extrinsics.name]!.shape.at(-2) === 4 ? 4 : 3;
  const stored = readOutput(outputs, extrinsics.name, [rows, 4]);
  const matrices = images.map((_, view) => {
    const matrix = stored.subarray(view * rows * 4, (view + 1) * rows * 4);
    assertLastRow(outputs.graph, matrix.subarray(12), view);
    const rigid = matrix.subarray(0, 12);
    return extrinsics.direction === 'w2c' ? Array.from(rigid) : invertRigid(rigid);
  });
  return Float32Array.from(matrices.flat());
}

const TOLERANCE = 1e-2;

/** (0, 0, 0, 1), where there is a fourth row. */
function assertLastRow(graph: GraphFile, row: Float32Array, view: number): void {
  if (row.every((value, i) => Math.abs(value - [0, 0, 0, 1][i]!) <= TOLERANCE)) return;
  throw reject(graph, `the pose of view ${view + 1} ends in the row (${row.join(', ')})`);
}

function assertRigid(graph: GraphFile, rigid: Float32Array, view: number): void {
  if (!rigid.every(Number.isFinite))
    throw reject(graph, `the pose of view ${view + 1} is not finite (${rigid.join(', ')})`);
  const r = rotationOf(rigid);
  const dot = (a: number, b: number) =>
    [0, 1, 2].reduce((s, i) => s + r[3 * a + i]! * r[3 * b + i]!, 0);
  const pairs = [0, 1, 2].flatMap((a) =>
    [0, 1, 2].map((b) => Math.abs(dot(a, b) - (a === b ? 1 : 0))),
  );
  const worst = Math.max(...pairs);
  if (worst <= TOLERANCE && determinant(r) > 0) return;
  throw reject(
    graph,
    worst <= TOLERANCE
      ? `the pose of view ${view + 1} is a mirror image, expected a rotation`
      : `the pose of view ${view + 1} is no rotation: R·Rᵀ differs from 1 by ${worst.toPrecision(3)}, expected at most ${TOLERANCE}`,
  );
}

const determinant = (r: readonly number[]): number =>
  r[0]! * (r[4]! * r[8]! - r[5]! * r[7]!) -
  r[1]! * (r[3]! * r[8]! - r[5]! * r[6]!) +
  r[2]! * (r[3]! * r[7]! - r[4]! * r[6]!);

const MAX_FOV_DEGREES = 178;

/** Finite, without skew, principal point in the image, and a field of view that a lens can have. */
function assertPinhole(graph: GraphFile, k: Float32Array, size: ImageSize, view: number): void {
  const fov = (side: number, focal: number) => (2 * Math.atan(side / 2 / focal) * 180) / Math.PI;
  const isInside = (value: number, side: number) => value >= 0 && value <= side;
  const focals = [fov(size.width, k[0]!), fov(size.height, k[4]!)];
  const isPinhole =
    k.every(Number.isFinite) &&
    Math.abs(k[1]!) <= TOLERANCE * k[0]! &&
    focals.every((angle) => angle > 0 && angle <= MAX_FOV_DEGREES) &&
    isInside(k[2]!, size.width) &&
    isInside(k[5]!, size.height);
  if (isPinhole) return;
  throw reject(
    graph,
    `the intrinsics of view ${view + 1} are (${k.join(', ')}), expected fx, 0, cx, 0, fy, cy, 0, 0, 1 in pixels of ${size.width}×${size.height}`,
  );
}
