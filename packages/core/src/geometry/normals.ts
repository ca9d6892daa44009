import type { GeometryLabelsV1 } from '../spec.js';
import { type ImageSize, requireConventions } from './cameras.js';
import { cross3, norm3, type Triple } from './matrix.js';
import { cameraStack, unprojectDepth } from './rays.js';

/** Steps (row, column) to the pairs of neighbours whose cross products are normals: all face the camera. */
const PAIRS = [
  [
    [-1, 0],
    [0, -1],
  ],
  [
    [0, -1],
    [1, 0],
  ],
  [
    [1, 0],
    [0, 1],
  ],
  [
    [0, 1],
    [-1, 0],
  ],
] as const;

/** Below this length a cross product has no direction. */
const MIN_LENGTH = 1e-8;

interface PointGrid {
  /** (H, W, 3). */
  readonly points: ArrayLike<number>;
  /** (H, W). */
  readonly mask: ArrayLike<number>;
  readonly size: ImageSize;
}

/** Vector from the pixel to its neighbour; undefined at the border or where the neighbour is masked. */
const toNeighbour = (
  { points, mask, size }: PointGrid,
  row: number,
  column: number,
  [down, right]: readonly [number, number],
): Triple | undefined => {
  const [y, x] = [row + down, column + right];
  if (y < 0 || y >= size.height || x < 0 || x >= size.width) return undefined;
  const neighbour = y * size.width + x;
  if (!mask[neighbour]) return undefined;
  const centre = row * size.width + column;
  const along = (axis: number): number =>
    points[3 * neighbour + axis]! - points[3 * centre + axis]!;
  return [along(0), along(1), along(2)];
};

/**
 * Unit normals of one pixel from its four pairs of neighbours, in the order up×left, left×down, down×right, right×up.
 * @returns undefined for a pair with an invalid member.
 */
export const pixelNormals = (
  grid: PointGrid,
  row: number,
  column: number,
): readonly (Triple | undefined)[] => {
  if (!grid.mask[row * grid.size.width + column]) return PAIRS.map(() => undefined);
  return PAIRS.map(([first, second]) => {
    const a = toNeighbour(grid, row, column, first);
    const b = toNeighbour(grid, row, column, second);
    if (!a || !b) return undefined;
    const normal = cross3(a, b);
    const length = Math.max(norm3(normal), MIN_LENGTH);
    return [normal[0] / length, normal[1] / length, normal[2] / length];
  });
};

/**
 * Surface normals of a point map: mean of the four cross products with the neighbours, unit length, facing the camera.
 * @param points (V, H, W, 3). @param mask (V, H, W), 1 where a point is valid.
 * @returns normals (V, H, W, 3) float32, 0 where none exists, and their mask (V, H, W).
 * Source: VGGT, training/loss.py (the four normals); the mean is ours, for display.
 */
export const surfaceNormals = (
  points: Float32Array,
  mask: Uint8Array,
  size: ImageSize,
): { readonly normals: Float32Array; readonly mask: Uint8Array } => {
  const perView = size.width * size.height;
  const normals = new Float32Array(points.length);
  const valid = new Uint8Array(mask.length);
  for (let start = 0; start < mask.length; start += perView) {
    const grid = {
      points: points.subarray(3 * start, 3 * (start + perView)),
      mask: mask.subarray(start, start + perView),
      size,
    };
    for (let i = 0; i < perView; i++) {
      const normal = meanNormal(grid, Math.floor(i / size.width), i % size.width);
      if (!normal) continue;
      normals.set(normal, 3 * (start + i));
      valid[start + i] = 1;
    }
  }
  return { normals, mask: valid };
};

const meanNormal = (grid: PointGrid, row: number, column: number): Triple | undefined => {
  const sum: Triple = [0, 0, 0];
  for (const normal of pixelNormals(grid, row, column))
    if (normal) for (let axis = 0; axis < 3; axis++) sum[axis]! += normal[axis]!;
  const length = norm3(sum);
  return length > MIN_LENGTH ? [sum[0] / length, sum[1] / length, sum[2] / length] : undefined;
};

/** [I | 0]: the world is the camera. */
const AT_CAMERA = [1, 0, 0, 0, 0, 1, 0, 0, 0, 0, 1, 0];

/**
 * Surface normals of labels, each view in the frame of its own camera: they follow from depth and intrinsics alone.
 * @returns as {@link surfaceNormals}.
 * @throws SpatialError CONVENTION_MISMATCH unless depth is z-depth.
 */
export const cameraNormals = (labels: GeometryLabelsV1): ReturnType<typeof surfaceNormals> => {
  requireConventions(labels.conventions, { depth: 'z-depth' }, 'labels');
  const extrinsicsWorldToCamera = Array<number[]>(labels.views).fill(AT_CAMERA).flat();
  const cameras = cameraStack({ ...labels, extrinsicsWorldToCamera });
  return surfaceNormals(unprojectDepth(labels.depth, cameras, labels), labels.mask, labels);
};
