import { tf } from '@spatialsv/engine';
import { expectAllclose } from '../testing/index.js';
import { distillationLoss, poolFeatures } from './distillation-loss.js';

beforeAll(async () => {
  await tf.setBackend('cpu');
});

describe('distillationLoss', () => {
  it('is 0, 1 and 2 for parallel, orthogonal and opposite features, whatever their length', async () => {
    const projected = tf.tensor2d([3, 0, 0, 0.01, -200, 0], [3, 2]);
    const target = tf.tensor2d([7, 0, 5, 0, 1, 0], [3, 2]);
    const [parallel, orthogonal, opposite] = [0, 1, 2].map((row) =>
      distillationLoss(tf.slice(projected, [row, 0], [1, 2]), tf.slice(target, [row, 0], [1, 2])),
    );
    expectAllclose(await parallel!.data(), [0], { atol: 1e-6 });
    expectAllclose(await orthogonal!.data(), [1]);
    expectAllclose(await opposite!.data(), [2]);
    expectAllclose(await distillationLoss(projected, target).data(), [1]);
  });

  it('has a finite gradient at a zero vector', async () => {
    const gradient = tf.grad((x) => distillationLoss(x, tf.ones([1, 4])))(tf.zeros([1, 4]));
    expect((await gradient.data()).every(Number.isFinite)).toBe(true);
  });
});

describe('poolFeatures', () => {
  it('averages the adaptive windows', () => {
    // One column: the windows of 5 → 3 are [0, 2), [1, 4), [3, 5).
    const features = { data: Float32Array.of(1, 2, 3, 4, 5), views: 1, h: 5, w: 1, channels: 1 };
    expect([...poolFeatures(features, { h: 3, w: 1 })]).toEqual([1.5, 3, 4.5]);
  });

  it('covers 37 → 14 with the windows of adaptive average pooling', () => {
    const starts = [0, 2, 5, 7, 10, 13, 15, 18, 21, 23, 26, 29, 31, 34];
    const ends = [3, 6, 8, 11, 14, 16, 19, 22, 24, 27, 30, 32, 35, 37];
    const data = Float32Array.from({ length: 37 }, (_, i) => i);
    const pooled = poolFeatures({ data, views: 1, h: 1, w: 37, channels: 1 }, { h: 1, w: 14 });
    expectAllclose(
      pooled,
      starts.map((start, i) => (start + ends[i]! - 1) / 2),
    );
  });

  it('keeps views, rows, columns and channels apart, and can enlarge', () => {
    const data = Float32Array.from({ length: 2 * 2 * 4 * 3 }, (_, i) => i);
    const features = { data, views: 2, h: 2, w: 4, channels: 3 };
    const same = poolFeatures(features, { h: 2, w: 4 });
    expect(same).toEqual(data);
    const halved = poolFeatures(features, { h: 2, w: 2 });
    expect([...halved.slice(0, 6)]).toEqual([1.5, 2.5, 3.5, 7.5, 8.5, 9.5]);
    expect(poolFeatures(features, { h: 3, w: 8 }).length).toBe(2 * 3 * 8 * 3);
  });

  it('averages the part of the images that the grid lies over', () => {
    const data = Float32Array.from({ length: 6 * 8 }, (_, i) => 10 * Math.floor(i / 8) + (i % 8));
    const features = { data, views: 1, h: 6, w: 8, channels: 1 };
    const part = { x0: 2 / 8, y0: 0, x1: 6 / 8, y1: 4 / 6 };
    expect([...poolFeatures(features, { h: 2, w: 2 }, part)]).toEqual([7.5, 9.5, 27.5, 29.5]);
    // Edges between rows: those that the cells touch.
    const shifted = { x0: 0, y0: 0.25 / 6, x1: 1 / 8, y1: 4.25 / 6 };
    expect([...poolFeatures(features, { h: 2, w: 1 }, shifted)]).toEqual([10, 30]);
  });

  it('refuses data of another length', () => {
    const features = { data: new Float32Array(7), views: 1, h: 2, w: 2, channels: 2 };
    expect(() => poolFeatures(features, { h: 1, w: 1 })).toThrow(
      expect.objectContaining({ code: 'SHAPE_MISMATCH' }),
    );
  });
});
