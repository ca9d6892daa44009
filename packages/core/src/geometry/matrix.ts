/** 3×3 matrix, row-major. */
export type Matrix3 = ArrayLike<number>;
/** 3×4 rigid transform [R | t], row-major. */
export type Rigid = ArrayLike<number>;
export type Vector3 = ArrayLike<number>;

export type Triple = [number, number, number];

/** M·v. */
export const apply3 = (m: Matrix3, v: Vector3): Triple => [
  m[0]! * v[0]! + m[1]! * v[1]! + m[2]! * v[2]!,
  m[3]! * v[0]! + m[4]! * v[1]! + m[5]! * v[2]!,
  m[6]! * v[0]! + m[7]! * v[1]! + m[8]! * v[2]!,
];

/** A·B. */
export const multiply3 = (a: Matrix3, b: Matrix3): number[] =>
  Array.from({ length: 9 }, (_, i) => {
    const [row, column] = [i - (i % 3), i % 3];
    return a[row]! * b[column]! + a[row + 1]! * b[column + 3]! + a[row + 2]! * b[column + 6]!;
  });

export const transpose3 = (m: Matrix3): number[] =>
  Array.from({ length: 9 }, (_, i) => m[(i % 3) * 3 + Math.floor(i / 3)]!);

export const determinant3 = (m: Matrix3): number =>
  m[0]! * (m[4]! * m[8]! - m[5]! * m[7]!) -
  m[1]! * (m[3]! * m[8]! - m[5]! * m[6]!) +
  m[2]! * (m[3]! * m[7]! - m[4]! * m[6]!);

/** Inverse by cofactors; entries are not finite for a singular matrix. */
export const invert3 = (m: Matrix3): number[] => {
  const [a, b, c, d, e, f, g, h, i] = Array.from(m) as [
    number,
    number,
    number,
    number,
    number,
    number,
    number,
    number,
    number,
  ];
  const scale = 1 / determinant3(m);
  // biome-ignore format: rows of a matrix
  return [
    e * i - f * h, c * h - b * i, b * f - c * e,
    f * g - d * i, a * i - c * g, c * d - a * f,
    d * h - e * g, b * g - a * h, a * e - b * d,
  ].map((cofactor) => cofactor * scale);
};

export const cross3 = (a: Vector3, b: Vector3): Triple => [
  a[1]! * b[2]! - a[2]! * b[1]!,
  a[2]! * b[0]! - a[0]! * b[2]!,
  a[0]! * b[1]! - a[1]! * b[0]!,
];

export const norm3 = (v: Vector3): number => Math.hypot(v[0]!, v[1]!, v[2]!);
