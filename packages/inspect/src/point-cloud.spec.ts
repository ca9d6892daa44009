import { pointsFromRays, SpatialError } from '@spatialsv/core';
import { buildPointCloud } from './point-cloud.js';
import { testScene } from './test-scene.js';
import { pointsFromCameras } from './view-cameras.js';

const scene = testScene();
const points = pointsFromRays(scene.rays, scene.depth);
const input = { ...scene, points };

describe('points', () => {
  it('agree between rays and cameras', () => {
    const other = pointsFromCameras(scene.depth, scene.cameras, 'half');
    points.forEach((value, i) => {
      expect(other[i]).toBeCloseTo(value, 4);
    });
  });

  it('lie on the walls of the room', () => {
    for (let i = 0; i < points.length; i += 3) {
      const [x, y, z] = [points[i]!, points[i + 1]!, points[i + 2]!];
      const wall = Math.max(Math.abs(x) / 2, Math.abs(y), Math.abs(z) / 2);
      expect(wall).toBeCloseTo(1, 4);
    }
  });
});

describe('buildPointCloud', () => {
  it('keeps every point when nothing is dropped, with the colour of its pixel', () => {
    const options = { dropLeastConfident: 0, edgeThreshold: Infinity };
    const cloud = buildPointCloud(input, options);
    expect(cloud.positions).toEqual(points);
    expect([...cloud.colors.subarray(0, 9)]).toEqual([...scene.images[0]!.data.subarray(0, 9)]);
    expect(cloud.views.at(-1)).toBe(1);
  });

  it('samples colours inside the covered rectangle', () => {
    const data = new Uint8Array(2 * 4 * 3);
    data.fill(200, 6, 12);
    data.fill(200, 18, 24);
    const image = { data, height: 2, width: 4 };
    const covered = [{ x0: 2, y0: 0, x1: 4, y1: 2 }];
    const one = { points: new Float32Array(12).fill(1), views: 1, height: 2, width: 2 };
    const cloud = buildPointCloud({ ...one, images: [image], covered });
    expect([...cloud.colors]).toEqual(Array(12).fill(200));
  });

  it('drops invalid, masked, unsure and floating points', () => {
    const broken = points.slice();
    broken[0] = Number.NaN;
    const mask = new Uint8Array(scene.depth.length).fill(1);
    mask[1] = 0;
    const base = { dropLeastConfident: 0, edgeThreshold: Infinity };
    const all = scene.depth.length;
    const count = (cloud: { views: Uint32Array }) => cloud.views.length;
    expect(count(buildPointCloud({ ...input, points: broken, mask }, base))).toBe(all - 2);
    expect(count(buildPointCloud(input, { ...base, dropLeastConfident: 0.5 }))).toBeLessThan(
      all * 0.52,
    );
    const depth = scene.depth.slice();
    depth[5 * scene.width + 5] = 0.1;
    const smooth = count(
      buildPointCloud({ ...input, depth: scene.depth }, { ...base, edgeThreshold: 0.3 }),
    );
    const jumped = count(buildPointCloud({ ...input, depth }, { ...base, edgeThreshold: 0.3 }));
    expect(smooth - jumped).toBe(5);
  });

  it('tells more than 256 views apart, also in their colours', () => {
    const views = 258;
    const images = Array.from({ length: views }, (_, view) => ({
      data: Uint8Array.of(view >> 8, view & 255, 9),
      height: 1,
      width: 1,
    }));
    const many = { points: new Float32Array(views * 3), views, height: 1, width: 1, images };
    const cloud = buildPointCloud(many);
    expect([...cloud.views.subarray(254)]).toEqual([254, 255, 256, 257]);
    expect([...cloud.colors.subarray(255 * 3)]).toEqual([0, 255, 9, 1, 0, 9, 1, 1, 9]);
  });

  it('leaves the least confident of the valid points out, whatever the masked ones have', () => {
    const image = { data: new Uint8Array(30), height: 1, width: 10 };
    const one = { points: new Float32Array(30), views: 1, height: 1, width: 10, images: [image] };
    const confidence = Float32Array.of(0, 0, 0, 0, 0, 1, 2, 3, 4, Number.NaN);
    const mask = Uint8Array.of(0, 0, 0, 0, 0, 1, 1, 1, 1, 0);
    const cloud = buildPointCloud({ ...one, confidence, mask }, { dropLeastConfident: 0.5 });
    expect(cloud.views.length).toBe(3);
  });

  it('may be empty', () => {
    const image = { data: new Uint8Array(3), height: 1, width: 1 };
    const one = { points: new Float32Array(3), views: 1, height: 1, width: 1, images: [image] };
    const none = { points: new Float32Array(0), views: 0, height: 1, width: 1, images: [] };
    const masked = { ...one, mask: new Uint8Array(1), confidence: new Float32Array(1) };
    const infinite = { ...one, points: new Float32Array(3).fill(Infinity) };
    for (const input of [none, masked, infinite]) {
      expect(buildPointCloud(input).positions).toHaveLength(0);
    }
    expect(buildPointCloud(one).positions).toHaveLength(3);
  });

  it('thins evenly', () => {
    const cloud = buildPointCloud(input, { maxPoints: 100 });
    expect(cloud.views.length).toBe(100);
    expect(new Set(cloud.views).size).toBe(2);
  });

  it('names the array that does not fit', () => {
    const wrong = () => buildPointCloud({ ...input, confidence: new Float32Array(3) });
    expect(wrong).toThrow(SpatialError);
    expect(wrong).toThrow(/confidence: expected 1536 .* found 3/);
  });
});
