import { rotationAbout } from './index.js';
import { multiply3 } from './matrix.js';
import { fitHomography, homographyOfFour } from './ray-camera.js';
import type { RaySet } from './ray-set.js';

const PLANE = [-0.7, 0.4, 0.6, 0.5, 0.2, -0.8, -0.3, -0.1];
// biome-ignore format: rows of a matrix
const A = multiply3(rotationAbout([1, 2, -1], 0.8), [0.9, 0.05, 0.02, 0, 0.7, -0.04, 0, 0, 1]);
const chosen = Int32Array.of(0, 1, 2, 3);

/** Rays of the homography A; the fourth may be turned around. */
function fourRays(lastSign = 1): RaySet {
  const direction = new Float64Array(12);
  for (let ray = 0; ray < 4; ray++) {
    const p = [PLANE[2 * ray]!, PLANE[2 * ray + 1]!, 1];
    const d = [0, 1, 2].map((row) =>
      p.reduce((sum, value, column) => sum + A[3 * row + column]! * value, 0),
    );
    const scale = (ray === 3 ? lastSign : 1) / Math.hypot(...d);
    direction.set(
      d.map((value) => value * scale),
      3 * ray,
    );
  }
  const weight = new Float64Array(4).fill(1);
  return {
    count: 4,
    plane: Float64Array.from(PLANE),
    direction,
    origin: new Float64Array(12),
    weight,
  };
}

const unit = (a: readonly number[]): number[] => {
  const length = Math.hypot(...a);
  return a.map((value) => value / length);
};

describe('homographyOfFour', () => {
  it('finds the matrix that maps four places onto four directions, as least squares do', () => {
    const found = unit(homographyOfFour(fourRays(), chosen)!);
    const fitted = unit(fitHomography(fourRays(), chosen)!);
    for (const [i, value] of unit(A).entries()) {
      expect(found[i]).toBeCloseTo(value, 10);
      expect(fitted[i]).toBeCloseTo(value, 10);
    }
  });

  it('finds none where a ray points behind the camera, or where one ray comes twice', () => {
    expect(homographyOfFour(fourRays(-1), chosen)).toBeUndefined();
    expect(homographyOfFour(fourRays(), Int32Array.of(0, 1, 2, 2))).toBeUndefined();
    expect(homographyOfFour(fourRays(), Int32Array.of(0, 0, 2, 3))).toBeUndefined();
  });
});
