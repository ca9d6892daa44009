import fc from 'fast-check';
import { createRandom } from '../random.js';
import { expectAllclose } from '../testing/index.js';
import {
  type CameraStack,
  depthFromPoints,
  pixelRay,
  pointsFromRays,
  projectPoints,
  quaternionToMatrix,
  rayMap,
  relativeToFirst,
  rigidFrom,
  rotationAbout,
  unprojectDepth,
} from './index.js';
import { cameraOfView } from './rays.js';

const camera = {
  intrinsics: [400, 0, 259, 0, 420, 196, 0, 0, 1],
  extrinsicsWorldToCamera: rigidFrom(quaternionToMatrix([0.1, -0.2, 0.3, 0.9]), [0.3, -0.4, 1.2]),
};

describe('pixelRay', () => {
  // biome-ignore format: one case per block
  it.each([
    [0, [-0.23057769, 0.11238346, 1.22364662], [-1.11433897, 0.70411654, 1.95385338]],
    [0.5, [-0.22904323, 0.11256015, 1.22287594], [-1.11050282, 0.70455827, 1.95192669]],
  ])('gives the reference ray and point with pixel offset %d', (offset, direction, point) => {
    const ray = pixelRay(camera, 10 + offset, 20 + offset);
    expectAllclose(ray.origin, [-0.53789474, 0.42315789, -1.10526316], { atol: 5e-9 });
    expectAllclose(ray.direction, direction, { atol: 5e-9 });
    const reached = ray.origin.map((value, i) => value + 2.5 * ray.direction[i]!);
    expectAllclose(reached, point, { atol: 5e-9 });
    expectAllclose(projectPoints(reached, camera), [10 + offset, 20 + offset, 2.5], { rtol: 1e-6 });
  });

  it('gives the reference rays of a coarse grid', () => {
    const rotation = rotationAbout([1, 2, 3], 0.4);
    // biome-ignore format: rows of a matrix
    expectAllclose(rotation, [
      0.92669949, -0.30095229, 0.22506836,
      0.32350629, 0.943615, -0.07024543,
      -0.19123736, 0.13790743, 0.9718075,
    ], { atol: 5e-9 });
    const transposed = [0, 3, 6, 1, 4, 7, 2, 5, 8].map((i) => rotation[i]!);
    const centre = [0.3, -0.2, 0.5];
    const translation = [0, 1, 2].map(
      (row) => -centre.reduce((sum, value, i) => sum + transposed[3 * row + i]! * value, 0),
    );
    const fine = {
      intrinsics: [50, 0, 28, 0, 48, 21, 0, 0, 1],
      extrinsicsWorldToCamera: rigidFrom(transposed, translation),
    };
    const first = pixelRay(fine, (0.5 * 56) / 32, (0.5 * 42) / 24);
    expectAllclose(first.direction, [-0.1514856, -0.64137784, 1.0177332], { atol: 5e-8 });
    expectAllclose(first.origin, centre, { rtol: 1e-12 });
    const last = pixelRay(fine, (31.5 * 56) / 32, (23.5 * 42) / 24);
    expectAllclose(last.direction, [0.60162232, 0.50088698, 0.9258818], { atol: 5e-8 });
  });
});

const randomStack = (seed: number, pixelCentre: CameraStack['pixelCentre']): CameraStack => {
  const random = createRandom(seed);
  const views = 1 + random.integer(3);
  const intrinsics: number[] = [];
  const extrinsics: number[] = [];
  for (let view = 0; view < views; view++) {
    const focal = random.uniform(5, 30);
    intrinsics.push(focal, random.normal(), 5 + random.normal(), 0, focal * 1.1, 4, 0, 0, 1);
    const axis = [random.normal(), random.normal(), random.normal()];
    const rotation = rotationAbout(axis, random.uniform(0, 3));
    extrinsics.push(...rigidFrom(rotation, [random.normal(), random.normal(), random.normal()]));
  }
  return { views, intrinsics, extrinsicsWorldToCamera: extrinsics, pixelCentre };
};

describe('ray maps', () => {
  const size = { width: 9, height: 7 };

  it.each(['half', 'integer'] as const)('unproject what projects back (%s)', (pixelCentre) => {
    fc.assert(
      fc.property(fc.nat(), (seed) => {
        const cameras = randomStack(seed, pixelCentre);
        const random = createRandom(seed + 1);
        const pixels = cameras.views * size.width * size.height;
        const depth = Float32Array.from({ length: pixels }, () => random.uniform(0.5, 20));
        const points = unprojectDepth(depth, cameras, size);
        expectAllclose(depthFromPoints(points, cameras.extrinsicsWorldToCamera), depth, {
          rtol: 1e-4,
        });
        const offset = pixelCentre === 'half' ? 0.5 : 0;
        const perView = size.width * size.height;
        for (let view = 0; view < cameras.views; view++) {
          const seen = points.subarray(view * perView * 3, (view + 1) * perView * 3);
          const projected = projectPoints(seen, cameraOfView(cameras, view));
          const expected = [...Array(perView).keys()].flatMap((i) => [
            (i % size.width) + offset,
            Math.floor(i / size.width) + offset,
            depth[view * perView + i]!,
          ]);
          expectAllclose(projected, expected, { rtol: 1e-4, atol: 1e-3 });
        }
      }),
      { numRuns: 50 },
    );
  });

  it('have directions with camera-z 1 and the camera centre as origin', () => {
    const cameras = { views: 1, ...camera, pixelCentre: 'half' } as const;
    const rays = rayMap(cameras, { width: 3, height: 2 });
    const ray = pixelRay(camera, 2.5, 1.5);
    expectAllclose(rays.subarray(30), [...ray.origin, ...ray.direction], { rtol: 1e-6 });
    const tips = pointsFromRays(rays, [1, 1, 1, 1, 1, 1]);
    expectAllclose(depthFromPoints(tips, camera.extrinsicsWorldToCamera), Array(6).fill(1), {
      rtol: 1e-5,
    });
  });

  it('keep depths when the world moves to the first camera', () => {
    const cameras = randomStack(12, 'half');
    const moved = {
      ...cameras,
      extrinsicsWorldToCamera: relativeToFirst(cameras.extrinsicsWorldToCamera),
    };
    const depth = new Float32Array(cameras.views * 63).fill(3);
    const points = unprojectDepth(depth, moved, size);
    expectAllclose(depthFromPoints(points, moved.extrinsicsWorldToCamera), depth, { rtol: 1e-5 });
  });

  it('refuse depth of another size', () => {
    expect(() => unprojectDepth([1, 2], randomStack(3, 'half'), size)).toThrow(
      expect.objectContaining({ code: 'SHAPE_MISMATCH' }),
    );
  });
});
