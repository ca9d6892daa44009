import {
  cameraStack,
  labelMaps,
  poseFromRays,
  rayMap,
  rigidFrom,
  rotationAbout,
} from '@spatialsv/core/kit';
import { expectAllclose } from '@spatialsv/core/testing';
import { da3Labels, decoderCameras, rayCameras } from './da3-labels.js';
import type { Da3Prediction } from './da3-prediction.js';

const SIZE = { width: 56, height: 42 };
const K = [50, 0, 28, 0, 48, 21, 0, 0, 1];
const E0 = rigidFrom(rotationAbout([1, 2, 3], 0.4), [0.3, -0.2, 0.5]);
const E1 = rigidFrom(rotationAbout([0.2, 1, 0.1], -0.3), [-0.1, 0.4, 0.2]);

/** Rays at 4/7 of the size, as the network gives them. */
const prediction = (): Da3Prediction => {
  const grid = { width: 32, height: 24 };
  const coarse = [K, K].flatMap((k) => k.map((value, i) => (i < 6 ? (value * 4) / 7 : value)));
  const extrinsics = Float32Array.from([...E0, ...E1]);
  const data = rayMap(
    { views: 2, intrinsics: coarse, extrinsicsWorldToCamera: extrinsics, pixelCentre: 'half' },
    grid,
  );
  const pixels = SIZE.width * SIZE.height;
  return {
    views: 2,
    ...SIZE,
    depth: new Float32Array(2 * pixels).fill(2),
    extrinsics,
    intrinsics: Float32Array.from([...K, ...K]),
    pose: Float32Array.from({ length: 18 }, () => 1),
    rays: { data, w: 32, h: 24, channels: 6 },
    rayConfidence: new Float32Array(2 * 32 * 24).fill(2),
  };
};

const WHOLE = { x0: 0, y0: 0, x1: 56, y1: 42 };
const VIEWS = { views: 2, ...SIZE, pixels: [], windows: [WHOLE, WHOLE] };

describe('cameras of labels', () => {
  it('are those that the rays describe', () => {
    const { extrinsics, intrinsics } = rayCameras(prediction());
    expectAllclose(extrinsics, [...E0, ...E1], { atol: 1e-5 });
    expectAllclose(intrinsics, [...K, ...K], { atol: 1e-3 });
  });

  it('do not come from rays that describe none', () => {
    const broken = prediction();
    broken.rays!.data.fill(1);
    expect(() => rayCameras(broken)).toThrow(expect.objectContaining({ code: 'DATA_INVALID' }));
  });

  it.each([
    [7, 0],
    [8, 3.2],
    [3, Number.NaN],
  ])('do not come from a pose whose value %i is %d', (place, value) => {
    const broken = prediction();
    broken.pose![9 + place] = value;
    expect(() => decoderCameras(broken)).toThrow(expect.objectContaining({ code: 'DATA_INVALID' }));
  });
});

describe('labels', () => {
  const make = (given = prediction(), views = VIEWS) =>
    da3Labels(given, views, { cameras: decoderCameras(given), scale: 'relative' });

  it('have view 0 for their world, and rays like the network', () => {
    const labels = make();
    expectAllclose(
      labels.extrinsicsWorldToCamera.subarray(0, 12),
      [1, 0, 0, 0, 0, 1, 0, 0, 0, 0, 1, 0],
    );
    expect(labels.conventions).toMatchObject({ pixelCentre: 'half', world: 'first-camera' });
    const grid = { ...SIZE };
    const { rays } = labelMaps(labels);
    const pose = poseFromRays(rays.subarray(0, rays.length / 2), {
      grid,
      image: grid,
      pixelCentre: 'half',
    })!;
    expectAllclose(pose.intrinsics, K, { atol: 1e-3 });
    expect(cameraStack(labels).views).toBe(2);
  });

  it('mask sky and what is no measurement', () => {
    const given = prediction();
    given.depth.set([0, Number.NaN, -1, 5]);
    const sky = new Float32Array(given.depth.length);
    sky[3] = 0.3;
    expect([...make({ ...given, sky }).mask.subarray(0, 5)]).toEqual([0, 0, 0, 0, 1]);
  });

  it('show whole images where the network saw a part', () => {
    const cut = { x0: -14, y0: 0, x1: 70, y1: 42 };
    const { width, height, mask, intrinsics } = make(prediction(), {
      ...VIEWS,
      windows: [cut, WHOLE],
    });
    expect([width, height]).toEqual([84, 42]);
    expect([...mask.subarray(12, 16)]).toEqual([0, 0, 1, 1]);
    expect(intrinsics[2]).toBeCloseTo(42, 4);
    // The other view was seen whole: its 56 columns fill the same 84.
    expect(intrinsics[9]).toBeCloseTo(75, 4);
  });
});
