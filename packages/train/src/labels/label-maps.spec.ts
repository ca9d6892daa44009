import { toyLabels } from '../testing/toy-data.js';
import { learnableLabels, viewLabels } from './label-maps.js';

const whole = (width: number, height: number) => ({
  covered: { x0: 0, y0: 0, x1: width, y1: height },
  image: { height, width },
});

describe('learnableLabels', () => {
  it('makes the mean distance of the valid points 1', () => {
    const labels = learnableLabels(toyLabels(2), 'toy');
    let sum = 0;
    let count = 0;
    for (const view of [0, 1]) {
      const { points, mask } = viewLabels(labels, view, { height: 8, width: 8, ...whole(8, 8) });
      mask.forEach((valid, i) => {
        if (valid === 0) return;
        sum += Math.hypot(points[3 * i]!, points[3 * i + 1]!, points[3 * i + 2]!);
        count += 1;
      });
    }
    expect(sum / count).toBeCloseTo(1, 5);
  });

  it('names the source of labels that cannot be used', () => {
    const labels = { ...toyLabels(1), mask: new Uint8Array(3) };
    expect(() => learnableLabels(labels, 'toy')).toThrow(/'toy'/);
  });
});

describe('viewLabels', () => {
  const labels = learnableLabels(toyLabels(2), 'toy');

  it('keeps points = origin + depth · direction and the camera of the second view', () => {
    const { depth, mask, rays, points } = viewLabels(labels, 1, {
      height: 4,
      width: 6,
      ...whole(80, 80),
    });
    expect(depth).toHaveLength(24);
    for (let i = 0; i < 24; i++) {
      for (let axis = 0; axis < 3; axis++) {
        const ray = rays[6 * i + axis]! + depth[i]! * rays[6 * i + 3 + axis]!;
        expect(points[3 * i + axis]).toBeCloseTo(mask[i] === 1 ? ray : 0, 5);
      }
    }
    expect(rays[0]).toBeGreaterThan(0.1);
    expect(rays[5]).toBeCloseTo(1, 6);
  });

  it('follows the crop of the backbone', () => {
    const size = { height: 4, width: 4 };
    const image = { height: 80, width: 80 };
    const covered = { x0: 40, y0: 0, x1: 80, y1: 40 };
    const cropped = viewLabels(labels, 0, { ...size, covered, image });
    const full = viewLabels(labels, 0, { height: 8, width: 8, ...whole(80, 80) });
    for (let row = 0; row < 4; row++) {
      for (let column = 0; column < 4; column++) {
        const small = 4 * row + column;
        const large = 8 * row + column + 4;
        expect(cropped.depth[small]).toBe(full.depth[large]);
        expect(cropped.rays[6 * small + 3]).toBeCloseTo(full.rays[6 * large + 3]!, 5);
      }
    }
  });
});
