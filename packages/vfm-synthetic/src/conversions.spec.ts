import {
  type Camera,
  cameraOfView,
  cameraStack,
  composeRigid,
  decodePose,
  depthFromPoints,
  encodePose,
  inFirstCamera,
  invertRigid,
  labelMaps,
  normaliseLabels,
  poseFromRays,
  projectPoints,
  rayMap,
  resampleLabels,
} from '@spatialsv/core/kit';
import type { GeometryLabelsV1 } from '@spatialsv/core/spec';
import { createScene } from './create-scene.js';
import { renderLabels } from './labels.js';
import { MOTIONS } from './scene.js';

const SIZE = { width: 56, height: 42 };
const PIXELS = SIZE.width * SIZE.height;

/** Largest |a − b| / max(1, |b|). */
const worst = (a: ArrayLike<number>, b: ArrayLike<number>): number => {
  expect(a.length).toBe(b.length);
  return Array.from(a).reduce(
    (error, value, i) => Math.max(error, Math.abs(value - b[i]!) / Math.max(1, Math.abs(b[i]!))),
    0,
  );
};

const viewsOf = ({ views }: GeometryLabelsV1): number[] => [...Array(views).keys()];

const camerasOf = (labels: GeometryLabelsV1): Camera[] =>
  viewsOf(labels).map((view) => cameraOfView(cameraStack(labels), view));

/** Where the pixel centres of a map lie, with a depth of 1. */
const pixelGrid = (width: number, height: number, offset: number): number[] =>
  Array.from({ length: width * height }, (_, i) => [
    (i % width) + offset,
    Math.floor(i / width) + offset,
  ]).flat();

/** Pixels and depths of points as their own view sees them. */
const seen = (labels: GeometryLabelsV1, points: Float32Array) =>
  camerasOf(labels).map((camera, view) => {
    const perView = labels.height * labels.width;
    const projected = projectPoints(
      points.subarray(3 * view * perView, 3 * (view + 1) * perView),
      camera,
    );
    const at = (axis: number) =>
      Array.from({ length: perView }, (_, i) => projected[3 * i + axis]!);
    const [us, vs, depth] = [at(0), at(1), at(2)];
    return { pixels: us.flatMap((u, i) => [u, vs[i]!]), depth };
  });

describe.each(MOTIONS)('exact geometry of a room (%s) comes back to 1e-5', (motion) => {
  const scene = createScene(23, { motion });
  const labels = renderLabels(scene, { cameras: scene.cameras, ...SIZE });
  const { rays, points } = labelMaps(labels);

  it.each([
    ['the label', SIZE],
    ['a coarser ray map', { width: 32, height: 24 }],
  ])('cameras, through rays of the size of %s', (_, grid) => {
    const scaled = resampleLabels(labels, grid);
    const coarse = rayMap(cameraStack(scaled), grid);
    const perView = 6 * grid.width * grid.height;
    camerasOf(labels).forEach((camera, view) => {
      const ofView = coarse.subarray(view * perView, (view + 1) * perView);
      for (const known of [{}, { intrinsics: camera.intrinsics }]) {
        const options = { grid, image: SIZE, pixelCentre: 'half', ...known } as const;
        const pose = poseFromRays(ofView, options)!;
        expect(worst(pose.extrinsicsWorldToCamera, camera.extrinsicsWorldToCamera)).toBeLessThan(
          1e-5,
        );
        expect(worst(pose.intrinsics, camera.intrinsics)).toBeLessThan(1e-5);
      }
    });
  });

  it('pixels and depth, through points and their projection', () => {
    const grid = pixelGrid(SIZE.width, SIZE.height, 0.5);
    seen(labels, points).forEach(({ pixels, depth }, view) => {
      expect(worst(pixels, grid)).toBeLessThan(1e-5);
      expect(worst(depth, labels.depth.subarray(view * PIXELS, (view + 1) * PIXELS))).toBeLessThan(
        1e-5,
      );
    });
    expect(
      worst(depthFromPoints(points, labels.extrinsicsWorldToCamera), labels.depth),
    ).toBeLessThan(1e-5);
  });

  it('cameras, through the pose vectors of VGGT (world-to-camera) and Depth Anything 3 (camera-to-world)', () => {
    for (const camera of camerasOf(labels)) {
      const vggt = decodePose(encodePose(camera, SIZE), SIZE);
      const cameraToWorld = invertRigid(camera.extrinsicsWorldToCamera);
      const dav3 = decodePose(
        encodePose({ ...camera, extrinsicsWorldToCamera: cameraToWorld }, SIZE),
        SIZE,
      );
      const back = invertRigid(dav3.extrinsicsWorldToCamera);
      expect(worst(vggt.extrinsicsWorldToCamera, camera.extrinsicsWorldToCamera)).toBeLessThan(
        1e-5,
      );
      expect(worst(back, camera.extrinsicsWorldToCamera)).toBeLessThan(1e-5);
      expect(worst(vggt.intrinsics, camera.intrinsics)).toBeLessThan(1e-5);
      expect(worst(dav3.intrinsics, camera.intrinsics)).toBeLessThan(1e-5);
    }
  });

  it('geometry, through another world, another scale and the first camera', () => {
    const moved = [0.6, 0, 0.8, 3, 0, 1, 0, -2, -0.8, 0, 0.6, 5];
    const extrinsics = camerasOf(labels).flatMap(({ extrinsicsWorldToCamera }) =>
      composeRigid(extrinsicsWorldToCamera, moved),
    );
    const elsewhere: GeometryLabelsV1 = {
      ...labels,
      conventions: { ...labels.conventions, world: 'source' },
      extrinsicsWorldToCamera: Float32Array.from(extrinsics),
    };
    const returned = inFirstCamera(elsewhere);
    expect(worst(returned.extrinsicsWorldToCamera, labels.extrinsicsWorldToCamera)).toBeLessThan(
      1e-5,
    );
    const { labels: unit, scale } = normaliseLabels(returned);
    const restored = labelMaps(unit).points.map((value) => value * scale);
    expect(worst(restored, points)).toBeLessThan(1e-5);
  });

  it('geometry, through a crop of each view', () => {
    const window = { x0: 7, y0: 3, x1: 49, y1: 31 };
    const to = { width: 42, height: 28 };
    const cropped = resampleLabels(labels, { ...to, windows: viewsOf(labels).map(() => window) });
    const grid = pixelGrid(to.width, to.height, 0.5);
    const cropPoints = labelMaps(cropped).points;
    for (const { pixels } of seen(cropped, cropPoints))
      expect(worst(pixels, grid)).toBeLessThan(1e-5);
    const kept = Array.from({ length: to.width * to.height }, (_, i) => {
      const source = (3 + Math.floor(i / to.width)) * SIZE.width + 7 + (i % to.width);
      return [0, 1, 2].map((axis) => points[3 * source + axis]!);
    }).flat();
    expect(worst(cropPoints.subarray(0, kept.length), kept)).toBeLessThan(1e-5);
  });

  it('rays, with pixel centres at whole numbers instead of halves', () => {
    const intrinsics = labels.intrinsics.map((value, i) =>
      [2, 5].includes(i % 9) ? value - 0.5 : value,
    );
    const conventions = { ...labels.conventions, pixelCentre: 'integer' } as const;
    expect(worst(labelMaps({ ...labels, conventions, intrinsics }).rays, rays)).toBeLessThan(1e-5);
  });
});
