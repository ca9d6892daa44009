import { type Matrix3, multiply3, transpose3, type Vector3 } from './matrix.js';

/**
 * Rotation matrix of a quaternion of any length.
 * @param quaternionXyzw (4) x, y, z, w.
 * @returns (3, 3). Source: VGGT, vggt/utils/rotation.py.
 */
export const quaternionToMatrix = (quaternionXyzw: ArrayLike<number>): number[] => {
  const [x, y, z, w] = Array.from(quaternionXyzw) as [number, number, number, number];
  const s = 2 / (x * x + y * y + z * z + w * w);
  // biome-ignore format: rows of a matrix
  return [
    1 - s * (y * y + z * z), s * (x * y - z * w), s * (x * z + y * w),
    s * (x * y + z * w), 1 - s * (x * x + z * z), s * (y * z - x * w),
    s * (x * z - y * w), s * (y * z + x * w), 1 - s * (x * x + y * y),
  ];
};

/**
 * Unit quaternion of a rotation matrix, with w ≥ 0. The best conditioned of the four square roots is taken.
 * @param rotation (3, 3).
 * @returns (4) x, y, z, w.
 */
export const matrixToQuaternion = (rotation: Matrix3): number[] => {
  const m = rotation;
  const [m00, m11, m22] = [m[0]!, m[4]!, m[8]!];
  const squares = [
    1 + m00 - m11 - m22,
    1 - m00 + m11 - m22,
    1 - m00 - m11 + m22,
    1 + m00 + m11 + m22,
  ];
  const largest = squares.indexOf(Math.max(...squares));
  const [xy, xz, yz] = [m[3]! + m[1]!, m[6]! + m[2]!, m[7]! + m[5]!];
  const [xw, yw, zw] = [m[7]! - m[5]!, m[2]! - m[6]!, m[3]! - m[1]!];
  const [sx, sy, sz, sw] = squares as [number, number, number, number];
  const candidates = [
    [sx, xy, xz, xw],
    [xy, sy, yz, yw],
    [xz, yz, sz, zw],
    [xw, yw, zw, sw],
  ];
  const chosen = candidates[largest]!;
  const length = Math.hypot(...chosen) * (chosen[3]! < 0 ? -1 : 1);
  return chosen.map((value) => value / length);
};

/** Rotation by `angleRad` about `axis` (any length), right-handed. @returns (3, 3). */
export const rotationAbout = (axis: Vector3, angleRad: number): number[] => {
  const scale = Math.sin(angleRad / 2) / Math.hypot(axis[0]!, axis[1]!, axis[2]!);
  const [x, y, z] = [axis[0]! * scale, axis[1]! * scale, axis[2]! * scale];
  return quaternionToMatrix([x, y, z, Math.cos(angleRad / 2)]);
};

/** Angle of the rotation that takes `a` to `b`, in [0, π] rad; exact also for small angles. */
export const rotationAngle = (a: Matrix3, b: Matrix3): number => {
  const [x, y, z, w] = matrixToQuaternion(multiply3(transpose3(a), b)) as [
    number,
    number,
    number,
    number,
  ];
  return 2 * Math.atan2(Math.hypot(x, y, z), w);
};

/** Angle between two vectors, in [0, π] rad. 0 when one of them is zero. */
export const angleBetween = (a: Vector3, b: Vector3): number => {
  // (|b|a − |a|b) and (|b|a + |a|b) keep their digits where the arc cosine loses them.
  const [na, nb] = [Math.hypot(a[0]!, a[1]!, a[2]!), Math.hypot(b[0]!, b[1]!, b[2]!)];
  const difference = [0, 1, 2].map((i) => a[i]! * nb - b[i]! * na);
  const sum = [0, 1, 2].map((i) => a[i]! * nb + b[i]! * na);
  return 2 * Math.atan2(Math.hypot(...difference), Math.hypot(...sum));
};
