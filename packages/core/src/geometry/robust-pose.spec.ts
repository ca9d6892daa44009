import { createRandom } from '../random.js';
import {
  type Camera,
  cameraCentre,
  invertRigid,
  pixelRay,
  poseFromRays,
  type RayPose,
  rigidFrom,
  robustPoseFromRays,
  rotationAbout,
  rotationAngle,
  rotationOf,
} from './index.js';

const image = { width: 128, height: 96 };
const grid = { width: 32, height: 24 };
const options = { grid, image, pixelCentre: 'half', seed: 1 } as const;

function randomCamera(seed: number): Camera {
  const random = createRandom(seed);
  const rotation = rotationAbout(
    [random.normal(), random.normal(), random.normal()],
    random.uniform(0, 3),
  );
  const centre = [random.normal(), random.normal(), random.normal()];
  const focal = random.uniform(80, 200);
  // biome-ignore format: rows of a matrix
  const intrinsics = [focal, 0, 64 + random.uniform(-9, 9), 0, focal * random.uniform(0.9, 1.1), 48, 0, 0, 1];
  return { intrinsics, extrinsicsWorldToCamera: invertRigid(rigidFrom(rotation, centre)) };
}

function raysOf(camera: Camera): Float32Array {
  const rays = Array.from({ length: grid.width * grid.height }, (_, i) => {
    const u = (((i % grid.width) + 0.5) * image.width) / grid.width;
    const v = ((Math.floor(i / grid.width) + 0.5) * image.height) / grid.height;
    const { origin, direction } = pixelRay(camera, u, v);
    return [...origin, ...direction];
  });
  return Float32Array.from(rays.flat());
}

/** Every n-th ray becomes noise: origin and direction. */
function withNoise(rays: Float32Array, every: number, seed: number): Float32Array {
  const random = createRandom(seed);
  return rays.map((value, i) => (Math.floor(i / 6) % every === 0 ? random.normal() : value));
}

function errors(pose: RayPose, camera: Camera) {
  const [found, real] = [pose.extrinsicsWorldToCamera, camera.extrinsicsWorldToCamera];
  const focal = [0, 4].map((i) => Math.abs(pose.intrinsics[i]! / camera.intrinsics[i]! - 1));
  const [from, to] = [cameraCentre(found), cameraCentre(real)];
  return {
    degrees: (rotationAngle(rotationOf(found), rotationOf(real)) * 180) / Math.PI,
    focal: Math.max(...focal),
    centre: Math.hypot(...from.map((value, c) => value - to[c]!)) / Math.hypot(...to),
  };
}

const seeds = [1, 2, 3, 4];

describe('robustPoseFromRays', () => {
  it.each(seeds)('finds the camera of exact rays, seed %d', (seed) => {
    const camera = randomCamera(seed);
    const pose = robustPoseFromRays(raysOf(camera), options)!;
    const { degrees, focal, centre } = errors(pose, camera);
    expect(degrees).toBeLessThan(0.01);
    expect(focal).toBeLessThan(1e-4);
    expect(centre).toBeLessThan(1e-5);
    expect(pose.inlierShare).toBe(1);
    expect(pose.residualDeg).toBeLessThan(0.01);
  });

  it.each(seeds)(
    'finds it where 20 %% of the rays are noise, as least squares do not, seed %d',
    (seed) => {
      const camera = randomCamera(seed);
      const rays = withNoise(raysOf(camera), 5, seed + 100);
      const pose = robustPoseFromRays(rays, options)!;
      const { degrees, focal, centre } = errors(pose, camera);
      expect(degrees).toBeLessThan(0.2);
      expect(focal).toBeLessThan(0.005);
      expect(centre).toBeLessThan(0.001);
      expect(pose.inlierShare).toBeGreaterThan(0.79);
      expect(pose.inlierShare).toBeLessThan(0.83);
      const plain = poseFromRays(rays, options);
      if (plain !== undefined) expect(errors(plain, camera).focal).toBeGreaterThan(0.02);
    },
  );

  it('finds it among half noise, and with known intrinsics', () => {
    const camera = randomCamera(3);
    const rays = withNoise(raysOf(camera), 2, 9);
    for (const intrinsics of [undefined, camera.intrinsics]) {
      const pose = robustPoseFromRays(rays, { ...options, ...(intrinsics && { intrinsics }) })!;
      const { degrees, centre } = errors(pose, camera);
      expect(degrees).toBeLessThan(0.5);
      expect(centre).toBeLessThan(0.01);
      expect(pose.inlierShare).toBeCloseTo(0.5, 1);
    }
  });

  it('says how far the rays are from their camera', () => {
    const camera = randomCamera(4);
    const random = createRandom(5);
    const rays = raysOf(camera).map((value, i) => value + (i % 6 < 3 ? 0 : random.normal(0, 0.02)));
    const { residualDeg } = robustPoseFromRays(rays, options)!;
    // Two directions across a ray whose length is about one.
    expect(residualDeg).toBeGreaterThan(1);
    expect(residualDeg).toBeLessThan(2);
  });

  it('gives the same camera for the same seed, and has no skew', () => {
    const rays = withNoise(raysOf(randomCamera(2)), 3, 11);
    const pose = robustPoseFromRays(rays, options)!;
    expect(robustPoseFromRays(rays, options)).toEqual(pose);
    expect(pose.intrinsics[1]).toBe(0);
  });

  it('finds none in too few, parallel or mirrored rays', () => {
    const parallel = new Float32Array(grid.width * grid.height * 6).map((_, i) =>
      i % 6 === 5 ? 1 : 0,
    );
    expect(robustPoseFromRays(parallel, options)).toBeUndefined();
    const mirrored = raysOf({
      ...randomCamera(1),
      extrinsicsWorldToCamera: [1, 0, 0, 0, 0, 1, 0, 0, 0, 0, 1, 0],
    }).map((value, i) => (i % 6 === 3 ? -value : value));
    const found = robustPoseFromRays(mirrored, options);
    expect(found === undefined || found.inlierShare < 0.3).toBe(true);
    const confidence = new Float32Array(grid.width * grid.height);
    confidence.fill(1, 0, 3);
    expect(robustPoseFromRays(raysOf(randomCamera(1)), { ...options, confidence })).toBeUndefined();
  });
});
