import type { GeometryLabelsV1 } from '../spec.js';
import { expectAllclose } from '../testing/index.js';
import {
  checkLabels,
  depthFromPoints,
  inFirstCamera,
  labelMaps,
  meanPointNorm,
  normaliseLabels,
  resampleLabels,
  rigidFrom,
  rotationAbout,
} from './index.js';

const makeLabels = (): GeometryLabelsV1 => {
  const [views, height, width] = [2, 4, 6];
  const pixels = views * height * width;
  const extrinsics = [0.2, 0.9].flatMap((angle, i) =>
    rigidFrom(rotationAbout([0, 1, 0.1], angle), [i, 0.5, 1]),
  );
  return {
    conventions: {
      axes: 'opencv',
      extrinsics: 'world-to-camera',
      pixelCentre: 'half',
      depth: 'z-depth',
      scale: 'metric-metres',
      world: 'source',
    },
    views,
    height,
    width,
    depth: Float32Array.from({ length: pixels }, (_, i) => 1 + (i % 7) * 0.3),
    mask: Uint8Array.from({ length: pixels }, (_, i) => (i % 5 === 0 ? 0 : 1)),
    intrinsics: Float32Array.from([5, 0, 3, 0, 5, 2, 0, 0, 1, 6, 0, 2.5, 0, 6, 2, 0, 0, 1]),
    extrinsicsWorldToCamera: Float32Array.from(extrinsics),
    depthConfidence: new Float32Array(pixels).fill(2),
  };
};

describe('labels', () => {
  const labels = makeLabels();

  it('give points that lie at their depth', () => {
    const { rays, points } = labelMaps(labels);
    expect(rays).toHaveLength(48 * 6);
    const depth = depthFromPoints(points, labels.extrinsicsWorldToCamera);
    for (let i = 0; i < labels.mask.length; i++)
      if (labels.mask[i]) expect(depth[i]).toBeCloseTo(labels.depth[i]!, 4);
      else expect([...points.subarray(3 * i, 3 * i + 3)]).toEqual([0, 0, 0]);
  });

  it('are normalised to a mean distance of 1 in the first camera', () => {
    const first = inFirstCamera(labels);
    const { labels: normalised, scale } = normaliseLabels(first);
    expect(normalised.conventions).toMatchObject({ scale: 'relative', world: 'first-camera' });
    expect(scale).toBeCloseTo(meanPointNorm(labelMaps(first).points, first.mask), 9);
    expect(meanPointNorm(labelMaps(normalised).points, labels.mask)).toBeCloseTo(1, 5);
    expectAllclose(
      labelMaps(normalised).points,
      labelMaps(first).points.map((value) => value / scale),
      { rtol: 1e-4, atol: 1e-5 },
    );
  });

  it('are not normalised in another world or without a valid pixel', () => {
    expect(() => normaliseLabels(labels)).toThrow(
      expect.objectContaining({ code: 'CONVENTION_MISMATCH' }),
    );
    const empty = { ...inFirstCamera(labels), mask: new Uint8Array(48) };
    expect(() => normaliseLabels(empty)).toThrow(expect.objectContaining({ code: 'DATA_INVALID' }));
  });

  it('are not unprojected along ray lengths', () => {
    const conventions = { ...labels.conventions, depth: 'ray-length' } as const;
    expect(() => labelMaps({ ...labels, conventions })).toThrow(
      expect.objectContaining({ code: 'CONVENTION_MISMATCH' }),
    );
  });

  it('keep every pixel when the resolution stays, and its ray when it doubles', () => {
    expect(resampleLabels(labels, labels)).toEqual(labels);
    const double = resampleLabels(labels, { height: 8, width: 12 });
    expect(double.depth[0]).toBe(labels.depth[0]);
    expect(double.depth[13]).toBe(labels.depth[0]);
    expect(double.mask[12 * 2 + 2]).toBe(labels.mask[7]);
    expect([...double.intrinsics.subarray(0, 6)]).toEqual([10, 0, 6, 0, 10, 4]);
    checkLabels(double, 'doubled');
  });

  it('take the nearest pixel when they shrink', () => {
    const half = resampleLabels(labels, { height: 2, width: 3 });
    expect(half.depth[0]).toBe(labels.depth[7]);
    expect(half.depth[6 + 5]).toBe(labels.depth[24 + 3 * 6 + 5]);
  });

  it('follow the window of each view and mask what lies outside', () => {
    const windows = [
      { x0: 2, y0: 1, x1: 4, y1: 3 },
      { x0: -1, y0: 0, x1: 1, y1: 2 },
    ];
    const cropped = resampleLabels(labels, { height: 2, width: 2, windows });
    expect([...cropped.depth.subarray(0, 4)]).toEqual([8, 9, 14, 15].map((i) => labels.depth[i]));
    expect([...cropped.mask.subarray(4)]).toEqual([0, labels.mask[24], 0, labels.mask[30]]);
    expect([...cropped.intrinsics.subarray(0, 6)]).toEqual([5, 0, 1, 0, 5, 1]);
    checkLabels(cropped, 'cropped');
  });

  it.each<[string, string, Partial<GeometryLabelsV1>]>([
    ['SHAPE_MISMATCH', 'a short mask', { mask: new Uint8Array(3) }],
    ['SHAPE_MISMATCH', 'one camera too few', { intrinsics: new Float32Array(9) }],
    [
      'DATA_INVALID',
      'a depth that is not a number',
      { depth: new Float32Array(48).fill(Number.NaN) },
    ],
    ['DATA_INVALID', 'zero depth', { depth: new Float32Array(48) }],
    ['DATA_INVALID', 'a mask of 255', { mask: new Uint8Array(48).fill(255) }],
    ['DATA_INVALID', 'no focal length', { intrinsics: new Float32Array(18) }],
    [
      'DATA_INVALID',
      'endless translations',
      { extrinsicsWorldToCamera: new Float32Array(24).fill(1 / 0) },
    ],
    ['DATA_INVALID', 'negative confidence', { depthConfidence: new Float32Array(48).fill(-1) }],
    [
      'SHAPE_MISMATCH',
      'short features',
      { features: { data: new Float32Array(3), h: 2, w: 2, channels: 4 } },
    ],
  ])('are refused (%s) with %s', (code, _name, change) => {
    checkLabels(labels, 'labels');
    expect(() => checkLabels({ ...labels, ...change }, 'labels')).toThrow(
      expect.objectContaining({ code }),
    );
  });
});
