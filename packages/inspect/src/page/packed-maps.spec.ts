import { pointsFromRays } from '@spatialsv/core';
import { packMaps } from '../report/pack-maps.js';
import { testScene } from '../test-scene.js';
import { confidenceOf, decodeMaps, depthAt, isPlaced } from './scene-source.js';

const scene = testScene(3);
const { views, height, width, depth, confidence } = scene;
const points = pointsFromRays(scene.rays, depth);
const whole = { views, height, width, depth, confidence, points };

async function roundTrip(maps: Parameters<typeof packMaps>[0], stride: number, bits: number) {
  const packed = packMaps(maps, { stride, bits });
  return decodeMaps({ ...packed, dropEdges: false, cameras: [], metrics: [] }, maps.views);
}

describe('maps of a page', () => {
  it.each([
    [16, 2e-5],
    [12, 3e-4],
  ])('keep depth and positions at %d bits to %d of their range', async (bits, share) => {
    const decoded = await roundTrip(whole, 1, bits);
    const range = Math.max(...depth) - Math.min(...depth);
    for (const [i, value] of depth.entries()) {
      expect(Math.abs(depthAt(decoded, i)! - value)).toBeLessThan(range * share);
      for (const a of [0, 1, 2] as const) {
        const { origin, step } = decoded.maps;
        const found = origin[a]! + decoded.position[a][i]! * step[a]!;
        expect(Math.abs(found - points[i * 3 + a]!)).toBeLessThan(4 * 2.5 * share);
      }
    }
  });

  it('say which share of the pixels is less confident, and how confident that is', async () => {
    const { rank, maps } = await roundTrip(whole, 1, 16);
    const sorted = confidence.toSorted();
    for (const [i, value] of confidence.entries()) {
      const below = sorted.findIndex((other) => other >= value) / (sorted.length - 1);
      expect(Math.abs(rank[i]! / 255 - below)).toBeLessThan(0.003);
      expect(Math.abs(confidenceOf(maps, rank[i]!) / value - 1)).toBeLessThan(0.2);
    }
  });

  it('take every so many pixels, of every view', async () => {
    const decoded = await roundTrip(whole, 3, 16);
    expect([decoded.maps.height, decoded.maps.width]).toEqual([8, 11]);
    const first = (2 * 8 + 1) * 11 + 2;
    expect(depthAt(decoded, first)).toBeCloseTo(depth[(2 * height + 4) * width + 7]!, 4);
  });

  it('have no depth where there is none, and positions within their box', async () => {
    const mask = new Uint8Array(depth.length).fill(1);
    mask[7] = 0;
    const endless = Float32Array.from(depth, (value, i) =>
      i === 9 ? Number.POSITIVE_INFINITY : value,
    );
    const lost = Float32Array.from(points, (value, i) => (i === 31 ? Number.NaN : value));
    const decoded = await roundTrip({ ...whole, mask, depth: endless, points: lost }, 1, 16);
    const none = [...decoded.depth.keys()].filter((i) => depthAt(decoded, i) === undefined);
    expect(none).toEqual([7, 9]);
    const nowhere = [...decoded.depth.keys()].filter((i) => !isPlaced(decoded, i));
    expect(nowhere).toEqual([7, 9, 10]);
    const nothing = await roundTrip({ ...whole, mask: new Uint8Array(depth.length) }, 1, 16);
    expect(nothing.depth.some((code) => code !== 0)).toBe(false);
  });

  it.each([2, 1e20])('show the values of a map of nothing but %d', async (constant) => {
    const flat = depth.map(() => constant);
    const decoded = await roundTrip({ ...whole, depth: flat, confidence: flat }, 1, 16);
    expect(Math.abs(depthAt(decoded, 0)! / constant - 1)).toBeLessThan(1e-5);
    expect(Math.abs(confidenceOf(decoded.maps, decoded.rank[0]!) / constant - 1)).toBeLessThan(
      1e-5,
    );
  });
});
