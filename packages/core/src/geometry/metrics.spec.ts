import { expectAllclose } from '../testing/index.js';
import {
  depthMetrics,
  fitDepth,
  meanPointNorm,
  pairErrors,
  pixelNormals,
  pointErrors,
  poseAccuracy,
  rayErrors,
  rigidFrom,
  rotationAbout,
  surfaceNormals,
  trajectoryError,
} from './index.js';

const [S, H, W] = [2, 8, 10];
const grid = [...Array(S * H * W).keys()].map((i) => ({
  x: i % W,
  y: Math.floor(i / W) % H,
  s: Math.floor(i / (W * H)),
}));
const target = grid.map(
  ({ x, y, s }) => 2 + 0.5 * Math.sin(0.7 * x) + 0.3 * Math.cos(0.5 * y) + 0.2 * s,
);
const prediction = grid.map(({ x, y, s }, i) => target[i]! + 0.1 * Math.sin(1.3 * x + 0.9 * y + s));
const second = grid.map(({ x, y }, i) => 0.5 * prediction[i]! + 0.3 + 0.2 * Math.sin(0.9 * x * y));
const mask = Uint8Array.from(grid, ({ x, y, s }) => ((3 * x + 5 * y + s) % 7 !== 0 ? 1 : 0));
const points = grid.flatMap(({ x, y }, i) => [
  ((x - 4.5) / 8) * target[i]!,
  ((y - 3.5) / 8) * target[i]!,
  target[i]!,
]);

describe('depthMetrics', () => {
  it('agrees with the reference values', () => {
    expect(mask.reduce((sum, value) => sum + value, 0)).toBe(136);
    const { raw } = depthMetrics({ prediction, target, mask, views: S });
    expectAllclose([raw.rmse, raw.absRel], [0.07158358, 0.03270414], { atol: 5e-9 });
    expect([raw.delta1, raw.delta2, raw.delta3]).toEqual([1, 1, 1]);
    const found = depthMetrics({ prediction: second, target, mask, views: S });
    const { raw: r, 'scale-and-shift': a, 'least-squares-scale': l, 'median-scale': m } = found;
    expectAllclose(
      [r.rmse, r.absRel, r.delta1, r.delta2, r.delta3],
      [0.76722113, 0.34610615, 0.03676471, 0.56617647, 1],
      { atol: 5e-9 },
    );
    expectAllclose([a.rmse, a.absRel, a.delta1], [0.20346595, 0.08577205, 0.97794118], {
      atol: 5e-9,
    });
    expectAllclose([l.rmse, l.absRel, l.delta1], [0.20539743, 0.08646811, 0.97794118], {
      atol: 5e-9,
    });
    expectAllclose([m.rmse, m.absRel, m.delta1], [0.21152059, 0.09107627, 0.95588235], {
      atol: 5e-9,
    });
  });

  it('fits the reference scales and shifts', () => {
    const image = (values: readonly number[], s: number): Float64Array =>
      Float64Array.from(values.filter((_, i) => grid[i]!.s === s && mask[i] === 1));
    const fits = [0, 1].flatMap((s) => {
      const [p, g] = [image(second, s), image(target, s)];
      const both = fitDepth(p, g, 'scale-and-shift');
      const scale = fitDepth(p, g, 'least-squares-scale').scale;
      return [both.scale, both.shift, scale, fitDepth(p, g, 'median-scale').scale];
    });
    expectAllclose(
      fits,
      [
        1.46944211, 0.06200514, 1.51531103, 1.56493668, 1.41368981, 0.21669737, 1.56595688,
        1.58582357,
      ],
      { atol: 5e-9 },
    );
  });

  it('leaves out images without a valid pixel, and needs one', () => {
    const first = mask.map((value, i) => (i < H * W ? value : 0));
    const one = depthMetrics({ prediction, target, mask: first, views: S });
    const alone = depthMetrics({
      prediction: prediction.slice(0, H * W),
      target: target.slice(0, H * W),
      mask: mask.slice(0, H * W),
      views: 1,
    });
    expect(one).toEqual(alone);
    const none = new Uint8Array(S * H * W);
    expect(() => depthMetrics({ prediction, target, mask: none, views: S })).toThrow(
      expect.objectContaining({ code: 'DATA_INVALID' }),
    );
  });

  it('refuses a prediction that is not a number, and another size', () => {
    const broken = prediction.with(1, Number.NaN);
    expect(() => depthMetrics({ prediction: broken, target, views: S })).toThrow(
      expect.objectContaining({ code: 'NON_FINITE' }),
    );
    expect(() => depthMetrics({ prediction: [1], target, views: S })).toThrow(
      expect.objectContaining({ code: 'SHAPE_MISMATCH' }),
    );
  });

  it('fits a constant prediction by the mean of the target', () => {
    const fit = fitDepth(Float64Array.of(2, 2), Float64Array.of(1, 4), 'scale-and-shift');
    expect(fit).toEqual({ scale: 0, shift: 2.5 });
  });
});

describe('normals and scale', () => {
  it('agree with the reference values', () => {
    const view = { points: points.slice(0, H * W * 3), mask: mask.slice(0, H * W) };
    const normals = pixelNormals({ ...view, size: { width: W, height: H } }, 3, 4);
    // biome-ignore format: one normal per line
    expectAllclose(normals.flatMap((normal) => normal ?? [0, 0, 0]), [
      -0.5873035, -0.32982381, -0.73911491,
      -0.57344592, -0.38082562, -0.72534931,
      -0.76139538, -0.2930929, -0.57825049,
      -0.77217901, -0.25136151, -0.58357259,
    ], { atol: 5e-9 });
    expectAllclose([meanPointNorm(points, mask)], [2.2779320834], { atol: 5e-11 });
  });

  it('of a plane are its normal, wherever three neighbours are valid', () => {
    const size = { width: 4, height: 3 };
    const plane = Float32Array.from(
      [...Array(12).keys()].flatMap((i) => [i % 4, Math.floor(i / 4), 5 + (i % 4)]),
    );
    const valid = new Uint8Array(12).fill(1);
    valid[0] = 0;
    const { normals, mask: found } = surfaceNormals(plane, valid, size);
    expect([...found]).toEqual([0, ...Array(11).fill(1)]);
    const unit = Math.SQRT1_2;
    for (let i = 1; i < 12; i++)
      expectAllclose(normals.subarray(3 * i, 3 * i + 3), [unit, 0, -unit], { atol: 1e-6 });
  });
});

describe('pose metrics', () => {
  it('agree with the reference values', () => {
    const errors = { rotationDeg: [1, 4, 12], translationDeg: [2, 3, 25] };
    const areas = [30, 15, 5, 3].map((threshold) => poseAccuracy(errors, threshold).auc);
    expectAllclose(areas, [0.655556, 0.533333, 0.266667, 0.111111], { atol: 5e-7 });
    expect(poseAccuracy(errors, 5)).toMatchObject({ rra: 2 / 3, rta: 2 / 3 });
    expect(poseAccuracy({ rotationDeg: [3], translationDeg: [0] }, 3).auc).toBeCloseTo(1 / 3, 12);
  });

  const cameras = [0, 0.3, 1.2, 2].flatMap((angle, i) =>
    rigidFrom(rotationAbout([i, 1, 0.2], angle), [i * i, -0.5 * i, 0.3 * angle]),
  );

  it('see no error in a moved and scaled copy of the world', () => {
    const scaled = cameras.map((value, i) => (i % 4 === 3 ? 3 * value : value));
    const { rotationDeg, translationDeg } = pairErrors(scaled, cameras);
    expect(rotationDeg).toHaveLength(6);
    expectAllclose([...rotationDeg, ...translationDeg], Array(12).fill(0), { atol: 1e-5 });
    expect(trajectoryError(scaled, cameras)).toBeCloseTo(0, 5);
  });

  it('measure the rotation of one camera and fold the sign of translations', () => {
    const turned = [...cameras];
    const rotation = rotationAbout([0, 0, 1], Math.PI / 18);
    turned.splice(0, 12, ...rigidFrom(rotation, [0, 0, 0]));
    const { rotationDeg } = pairErrors(turned, cameras);
    expectAllclose(rotationDeg.slice(0, 3), [10, 10, 10], { rtol: 1e-9 });
    expectAllclose(rotationDeg.slice(3), [0, 0, 0], { atol: 1e-6 });
    const flipped = cameras.map((value, i) => (i % 4 === 3 ? -value : value));
    expectAllclose(pairErrors(flipped, cameras).translationDeg, Array(6).fill(0), { atol: 1e-5 });
  });

  it('give no trajectory error where the alignment is undetermined', () => {
    expect(trajectoryError(cameras.slice(0, 24), cameras.slice(0, 24))).toBeUndefined();
  });
});

describe('dense errors', () => {
  it('measure angles and distances where the mask says so', () => {
    const truth = [0, 0, 0, 0, 0, 2, 5, 5, 5, 0, 1, 0];
    const found = [0, 3, 4, 0, 1, 1, 9, 9, 9, 9, 9, 9];
    const errors = rayErrors(found, truth, [1, 0]);
    expectAllclose([errors.directionDeg, errors.originDistance], [45, 5], { rtol: 1e-12 });
    expect(pointErrors([1, 0, 0, 9, 9, 9], [0, 0, 2, 1, 1, 1], [1, 0])).toEqual({
      distance: Math.sqrt(5),
      relative: Math.sqrt(5) / 2,
    });
  });
});
