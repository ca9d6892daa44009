import { cameraToWorld, type ViewCamera } from '../cameras.js';

/** World direction of a direction of the camera. */
export function worldDirection(
  camera: ViewCamera,
  axis: readonly [number, number, number],
): number[] {
  const centre = cameraToWorld(camera, [0, 0, 0]);
  return cameraToWorld(camera, axis).map((value, i) => value - centre[i]!);
}

/**
 * (3, 3) rotation from the OpenCV world to the axes of the page: (x, −y, −z), then the shortest turn of the cameras' mean
 * upward direction u onto y (Rodrigues: I + K + K² / (1 + u·y), K the cross-product matrix of u × y).
 */
export function upright(cameras: readonly ViewCamera[]): number[] {
  const ups = cameras.map((camera) => worldDirection(camera, [0, -1, 0]));
  const sum = [0, 1, 2].map((a) => ups.reduce((total, up) => total + up[a]!, 0));
  const length = Math.hypot(...sum);
  const [x, y, z] = length > 1e-6 ? sum.map((value) => value / length) : [0, -1, 0];
  const [u0, u1, u2] = [x!, -y!, -z!];
  // Cameras that are upside down on average would need a turn about an axis that nothing determines.
  const [a, b, c] = u1 > -0.99 ? [-u2, 0, u0] : [0, 0, 0];
  const k = [0, -c, b, c, 0, -a, -b, a, 0];
  const flip = [1, -1, -1];
  return Array.from({ length: 9 }, (_, i) => {
    const [row, column] = [Math.floor(i / 3), i % 3];
    const square = [0, 1, 2].reduce((t, m) => t + k[row * 3 + m]! * k[m * 3 + column]!, 0);
    return ((row === column ? 1 : 0) + k[i]! + square / (1 + u1 || 1)) * flip[column]!;
  });
}

/** Positions or directions (n, 3), each multiplied by a (3, 3) matrix. */
export function turnAll(turn: readonly number[], positions: ArrayLike<number>): Float32Array {
  const turned = new Float32Array(positions.length);
  for (let i = 0; i < positions.length; i += 3) {
    for (let row = 0; row < 3; row++) {
      turned[i + row] =
        turn[row * 3]! * positions[i]! +
        turn[row * 3 + 1]! * positions[i + 1]! +
        turn[row * 3 + 2]! * positions[i + 2]!;
    }
  }
  return turned;
}
