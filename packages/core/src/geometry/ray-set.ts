import type { ImageSize } from './cameras.js';
import { RAY_CHANNELS } from './rays.js';

/** Usable rays of one view: finite, with a direction and a positive weight. */
export interface RaySet {
  readonly count: number;
  /** (N, 2) centre of the grid cell in image edge coordinates divided by half the size, minus 1: both axes in (−1, 1). */
  readonly plane: Float64Array;
  /** (N, 3) unit length. */
  readonly direction: Float64Array;
  /** (N, 3). */
  readonly origin: Float64Array;
  /** (N). */
  readonly weight: Float64Array;
}

/**
 * @param rays (h, w, 6), origin then direction. @param confidence (h, w) weights, 1 where absent.
 */
export function collectRays(
  rays: ArrayLike<number>,
  { width, height }: ImageSize,
  confidence?: ArrayLike<number>,
): RaySet {
  const set = emptySet(width * height);
  let count = 0;
  for (let i = 0; i < width * height; i++) {
    const at = i * RAY_CHANNELS;
    const length = Math.sqrt(rays[at + 3]! ** 2 + rays[at + 4]! ** 2 + rays[at + 5]! ** 2);
    const weight = confidence ? confidence[i]! : 1;
    const isUsable = weight > 0 && weight < Infinity && length > 0 && length < Infinity;
    if (!isUsable || !isFinite3(rays, at)) continue;
    set.plane[2 * count] = (2 * (i % width) + 1) / width - 1;
    set.plane[2 * count + 1] = (2 * Math.floor(i / width) + 1) / height - 1;
    for (let axis = 0; axis < 3; axis++) {
      set.origin[3 * count + axis] = rays[at + axis]!;
      set.direction[3 * count + axis] = rays[at + 3 + axis]! / length;
    }
    set.weight[count] = weight;
    count++;
  }
  return { ...set, count };
}

const emptySet = (size: number) => ({
  plane: new Float64Array(2 * size),
  direction: new Float64Array(3 * size),
  origin: new Float64Array(3 * size),
  weight: new Float64Array(size),
});

const isFinite3 = (values: ArrayLike<number>, at: number): boolean =>
  Number.isFinite(values[at]! + values[at + 1]! + values[at + 2]!);

/** Numbers of all rays of a set. */
export function allRays({ count }: RaySet): Int32Array {
  const rays = new Int32Array(count);
  for (let i = 0; i < count; i++) rays[i] = i;
  return rays;
}
