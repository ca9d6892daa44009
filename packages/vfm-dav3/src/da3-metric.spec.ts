import { depthWithSky, joinNested, metricDepth, quantile, skyMask } from './da3-metric.js';

describe('sky', () => {
  it('begins at 0.3', () => {
    expect([...skyMask(Float32Array.of(0, 0.29, 0.31, 2))]).toEqual([0, 0, 1, 1]);
  });

  const depth = Float32Array.from({ length: 40 }, (_, i) => i + 1);
  const sky = (count: number) => Uint8Array.from({ length: 40 }, (_, i) => (i < count ? 1 : 0));

  it('lies as far as the far end of the rest', () => {
    const filled = depthWithSky(depth, sky(20));
    expect(filled[0]).toBeCloseTo(21 + 0.99 * 19, 4);
    expect(filled.subarray(20)).toEqual(depth.subarray(20));
  });

  it.each([10, 30])('is left alone with %i of 40 pixels', (count) => {
    expect(depthWithSky(depth, sky(count))).toEqual(depth);
  });
});

it('quantiles lie between neighbours', () => {
  expect(quantile(Float32Array.of(4, 1, 3, 2), 0.5)).toBe(2.5);
  expect(quantile(Float32Array.of(7), 0.99)).toBe(7);
});

it('metric depth grows with the focal length of each view', () => {
  const intrinsics = [300, 0, 1, 0, 300, 1, 0, 0, 1, 500, 0, 1, 0, 700, 1, 0, 0, 1];
  expect([...metricDepth(Float32Array.of(1, 2, 1, 2), intrinsics)]).toEqual([1, 2, 2, 4]);
});

describe('nesting', () => {
  const count = 30;
  const depth = Float32Array.from({ length: count }, (_, i) => 1 + i / 10);
  const depths = {
    depth,
    depthConfidence: Float32Array.from({ length: count }, (_, i) => 1 + i),
    // Only the less sure half and the sky have another scale.
    metric: depth.map((value, i) => (i < 10 || i >= 27 ? 9 * value : 3 * value)),
    sky: Uint8Array.from({ length: count }, (_, i) => (i >= 27 ? 1 : 0)),
  };

  it('takes the scale from the surer half of what is not sky', () => {
    const joined = joinNested(depths);
    expect(joined.scale).toBeCloseTo(3, 6);
    expect(joined.depth[0]).toBeCloseTo(3, 5);
    expect(joined.depth[29]).toBeCloseTo(3 * (1 + 0.99 * 2.6), 4);
    expect(joined.depthConfidence[29]).toBe(1);
    expect(joined.depthConfidence[26]).toBe(27);
  });

  it('puts sky at 200 m at most', () => {
    const far = { ...depths, depth: depth.map((value) => value * 100) };
    expect(joinNested({ ...far, metric: far.depth }).depth[29]).toBe(200);
  });

  it('needs something but sky', () => {
    const sky = depths.sky.map(() => 1);
    expect(() => joinNested({ ...depths, sky })).toThrow(
      expect.objectContaining({ code: 'DATA_INVALID' }),
    );
  });
});
