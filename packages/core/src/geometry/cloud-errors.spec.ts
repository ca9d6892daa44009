import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { createRandom } from '../random.js';
import { type CloudErrors, cloudErrors, nearestDistances } from './index.js';

interface Case {
  readonly name: string;
  readonly prediction: readonly number[];
  readonly target: readonly number[];
  readonly threshold: number;
  readonly nearest: readonly number[];
  readonly errors: CloudErrors;
}

/** Made by reference/core/clouds_golden.py with SciPy 1.17. */
const cases: readonly Case[] = JSON.parse(
  readFileSync(join(__dirname, '__golden__/clouds.json'), 'utf8'),
);

describe('clouds without correspondence', () => {
  it.each(cases)('equal SciPy on $name', ({ prediction, target, threshold, nearest, errors }) => {
    const found = nearestDistances(prediction, target);
    expect(found).toHaveLength(nearest.length);
    found.forEach((distance, i) => {
      expect(distance).toBeCloseTo(nearest[i]!, 12);
    });
    const measured = cloudErrors(prediction, target, threshold);
    for (const [name, value] of Object.entries(errors)) {
      expect(measured[name as keyof CloudErrors]).toBeCloseTo(value, 12);
    }
  });

  it('find the nearest among equal and collinear points', () => {
    const line = Array.from({ length: 200 }, (_, i) => [i % 7, 0, 0]).flat();
    expect([...nearestDistances([3.25, 0, 0, 9, 1, 0], line)]).toEqual([0.25, Math.sqrt(10)]);
  });

  it('are apart by nothing from themselves, and have no errors beside nothing', () => {
    const cloud = createRandom(1).normals(300);
    expect(cloudErrors(cloud, cloud, 0.1)).toMatchObject({ chamfer: 0, fScore: 1 });
    expect(cloudErrors(cloud, [], 0.1).chamfer).toBeNaN();
    expect(nearestDistances([0, 0, 0], [])[0]).toBe(Infinity);
  });
});
