import fc from 'fast-check';
import { createRandom } from '../random.js';
import { expectAllclose } from '../testing/index.js';
import {
  alignSimilarity,
  applySimilarity,
  type Camera,
  invertRigid,
  pixelRay,
  poseFromRays,
  type RayPose,
  rigidFrom,
  rotationAbout,
  rotationAngle,
  rotationOf,
} from './index.js';

const image = { width: 56, height: 42 };
const grid = { width: 32, height: 24 };

/** Rays of a coarse grid over the image, in double precision. */
const coarseRays = (camera: Camera, pixelCentre: 'half' | 'integer'): number[] => {
  const toEdge = pixelCentre === 'half' ? 0 : 0.5;
  return [...Array(grid.width * grid.height).keys()].flatMap((i) => {
    const u = (((i % grid.width) + 0.5) * image.width) / grid.width - toEdge;
    const v = ((Math.floor(i / grid.width) + 0.5) * image.height) / grid.height - toEdge;
    const ray = pixelRay(camera, u, v);
    return [...ray.origin, ...ray.direction];
  });
};

const makeCamera = (rotation: number[], intrinsics: readonly number[]): Camera => ({
  intrinsics,
  extrinsicsWorldToCamera: invertRigid(rigidFrom(rotation, [0.3, -0.2, 0.5])),
});

const cases = [
  ['the reference', rotationAbout([1, 2, 3], 0.4), [50, 0, 28, 0, 48, 21, 0, 0, 1]],
  ['an off-centre principal point', rotationAbout([1, 2, 3], 0.4), [50, 0, 30, 0, 48, 19, 0, 0, 1]],
  ['a large rotation', rotationAbout([0.2, 1, 0.1], 2.6), [50, 0, 30, 0, 48, 19, 0, 0, 1]],
] as const;

describe('poseFromRays', () => {
  it.each(cases)('recovers %s', (_name, rotation, intrinsics) => {
    for (const pixelCentre of ['half', 'integer'] as const) {
      const camera = makeCamera(rotation, intrinsics);
      const rays = coarseRays(camera, pixelCentre);
      const free = poseFromRays(rays, { grid, image, pixelCentre })!;
      expectAllclose(free.intrinsics, intrinsics, { rtol: 1e-8, atol: 1e-7 });
      expectAllclose(free.extrinsicsWorldToCamera, camera.extrinsicsWorldToCamera, { atol: 1e-9 });
      const known = poseFromRays(rays, { grid, image, pixelCentre, intrinsics })!;
      expectAllclose(known.extrinsicsWorldToCamera, camera.extrinsicsWorldToCamera, {
        atol: 1e-12,
      });
    }
  });

  it('recovers any camera from float32 rays of any length', () => {
    fc.assert(
      fc.property(fc.nat(), (seed) => {
        const random = createRandom(seed);
        const axis = [random.normal(), random.normal(), random.normal()];
        const focal = random.uniform(20, 120);
        // biome-ignore format: rows of a matrix
        const intrinsics = [
          focal, 0, 28 + random.uniform(-5, 5),
          0, focal * random.uniform(0.8, 1.2), 21 + random.uniform(-5, 5),
          0, 0, 1,
        ];
        const camera = makeCamera(rotationAbout(axis, random.uniform(0, 3.1)), intrinsics);
        const length = random.uniform(0.1, 10);
        const rays = coarseRays(camera, 'half').map((v, i) => (i % 6 < 3 ? v : v * length));
        const pose = poseFromRays(Float32Array.from(rays), { grid, image, pixelCentre: 'half' })!;
        expectAllclose(pose.intrinsics, intrinsics, { rtol: 1e-3, atol: 1e-2 });
        const angle = rotationAngle(
          rotationOf(pose.extrinsicsWorldToCamera),
          rotationOf(camera.extrinsicsWorldToCamera),
        );
        expect(angle).toBeLessThan(1e-3);
      }),
      { numRuns: 25 },
    );
  });

  it('leaves out rays without confidence', () => {
    const camera = makeCamera(cases[1][1], cases[1][2]);
    const confidence = new Float32Array(grid.width * grid.height).fill(1);
    const rays = coarseRays(camera, 'half').map((value, i) => {
      const pixel = Math.floor(i / 6);
      if (pixel % 3 !== 0) return value;
      confidence[pixel] = 0;
      return pixel % 2 === 0 ? Number.NaN : -value;
    });
    const pose = poseFromRays(rays, { grid, image, pixelCentre: 'half', confidence })!;
    expectAllclose(pose.extrinsicsWorldToCamera, camera.extrinsicsWorldToCamera, { atol: 1e-9 });
  });

  it('is more accurate with known intrinsics when the rays are noisy', () => {
    const camera = makeCamera(cases[0][1], cases[0][2]);
    const random = createRandom(3);
    const noisy = coarseRays(camera, 'half').map(
      (v, i) => v + (i % 6 < 3 ? 0 : random.normal(0, 0.1)),
    );
    const options = { grid, image, pixelCentre: 'half' } as const;
    const errorOf = (pose: RayPose): number =>
      rotationAngle(
        rotationOf(pose.extrinsicsWorldToCamera),
        rotationOf(camera.extrinsicsWorldToCamera),
      );
    const free = errorOf(poseFromRays(noisy, options)!);
    const known = errorOf(poseFromRays(noisy, { ...options, intrinsics: camera.intrinsics })!);
    expect(known).toBeLessThan(free);
    expect(known).toBeLessThan(0.03);
  });

  it.each([
    ['parallel rays', () => [0, 0, 0, 0, 0, 1]],
    ['no directions', () => [0, 0, 0, 0, 0, 0]],
    ['rays that are not numbers', () => Array(6).fill(Number.NaN)],
    ['mirrored rays', (u: number, v: number) => [0, 0, 0, -u + 28, v - 21, 50]],
  ] as const)('finds no camera in %s', (_name, ray: (u: number, v: number) => number[]) => {
    const rays = [...Array(grid.width * grid.height).keys()].flatMap((i) =>
      ray(i % grid.width, Math.floor(i / grid.width)),
    );
    expect(poseFromRays(rays, { grid, image, pixelCentre: 'half' })).toBeUndefined();
  });

  it('finds no rotation of parallel rays with known intrinsics', () => {
    const rays = Array(grid.width * grid.height)
      .fill([0, 0, 0, 0, 0, 0])
      .flat();
    const options = { grid, image, pixelCentre: 'half', intrinsics: cases[0][2] } as const;
    expect(poseFromRays(rays, options)).toBeUndefined();
  });
});

describe('alignSimilarity', () => {
  it('recovers any similarity', () => {
    fc.assert(
      fc.property(fc.nat(), (seed) => {
        const random = createRandom(seed);
        const similarity = {
          scale: random.uniform(0.1, 10),
          rotation: rotationAbout([random.normal(), random.normal(), 1], random.uniform(0, 3.1)),
          translation: [random.normal(), random.normal(), random.normal()] as [
            number,
            number,
            number,
          ],
        };
        const source = random.normals(3 * (3 + random.integer(10)));
        const found = alignSimilarity(source, applySimilarity(similarity, source))!;
        expectAllclose([found.scale], [similarity.scale], { rtol: 1e-3 });
        expectAllclose(applySimilarity(found, source), applySimilarity(similarity, source), {
          rtol: 1e-4,
          atol: 1e-4,
        });
      }),
    );
  });

  it('never mirrors', () => {
    const source = [0, 0, 0, 1, 0, 0, 0, 1, 0, 0, 0, 1];
    const mirrored = source.map((value, i) => (i % 3 === 0 ? -value : value));
    const { rotation } = alignSimilarity(source, mirrored)!;
    const [a, b, c, d, e, f, g, h, i] = rotation as number[];
    const determinant =
      a! * (e! * i! - f! * h!) - b! * (d! * i! - f! * g!) + c! * (d! * h! - e! * g!);
    expect(determinant).toBeCloseTo(1, 9);
  });

  it('keeps lengths when asked to', () => {
    const source = [0, 0, 0, 1, 0, 0, 0, 1, 0];
    const doubled = source.map((value) => 2 * value);
    expect(alignSimilarity(source, doubled, { scale: false })!.scale).toBe(1);
    expect(alignSimilarity(source, doubled)!.scale).toBeCloseTo(2, 12);
  });

  it('does not guess for two points or points on a line', () => {
    expect(alignSimilarity([0, 0, 0, 1, 1, 1], [0, 0, 0, 2, 2, 2])).toBeUndefined();
    const line = [0, 0, 0, 1, 1, 1, 3, 3, 3];
    expect(alignSimilarity(line, line)).toBeUndefined();
  });
});
