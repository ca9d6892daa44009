import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { labelMaps, quaternionToMatrix, SpatialError } from '@spatialsv/core';
import sharp from 'sharp';
import { testLabels } from '../testing/test-labels.js';
import { colmapText } from './colmap-text.js';
import { exportLabels } from './export-labels.js';
import type { LabelSet } from './label-set.js';

const root = mkdtempSync(join(tmpdir(), 'spatialsv-colmap-'));
afterAll(() => rmSync(root, { recursive: true }));

/** Reads the files by the documented format alone, as `Reconstruction::ReadText` does. */
function readModel(folder: string) {
  const lines = (name: string) =>
    readFileSync(join(folder, name), 'utf8')
      .split('\n')
      .filter((line) => !line.startsWith('#'));
  const cameras = new Map(
    lines('cameras.txt').flatMap((line) => {
      if (line === '') return [];
      const [id, model, width, height, ...parameters] = line.split(' ');
      return [
        [Number(id), { model, size: [Number(width), Number(height)], k: parameters.map(Number) }],
      ];
    }),
  );
  const pairs = lines('images.txt');
  const images = Array.from({ length: Math.floor(pairs.length / 2) }, (_, i) => {
    const [id, qw, qx, qy, qz, tx, ty, tz, camera, ...name] = pairs[2 * i]!.split(' ');
    const numbers = pairs[2 * i + 1]!.split(' ').map(Number);
    const rotation = quaternionToMatrix([qx, qy, qz, qw].map(Number));
    return {
      id: Number(id),
      camera: cameras.get(Number(camera))!,
      rotation,
      translation: [tx, ty, tz].map(Number),
      name: name.join(' '),
      observations: Array.from({ length: numbers.length / 3 }, (_, n) =>
        numbers.slice(3 * n, 3 * n + 3),
      ),
    };
  });
  const points = lines('points3D.txt').flatMap((line) => {
    if (line === '') return [];
    const [id, x, y, z, r, g, b, error, ...track] = line.split(' ').map(Number) as number[];
    return [{ id, place: [x!, y!, z!], rgb: [r, g, b], error, track }];
  });
  return { cameras, images, points };
}

type Model = ReturnType<typeof readModel>;

function project({ camera, rotation: r, translation: t }: Model['images'][number], p: number[]) {
  const at = (i: number) =>
    r[3 * i]! * p[0]! + r[3 * i + 1]! * p[1]! + r[3 * i + 2]! * p[2]! + t[i]!;
  const [fx, fy, cx, cy] = camera.k as [number, number, number, number];
  return [(fx * at(0)) / at(2) + cx, (fy * at(1)) / at(2) + cy];
}

async function exported(set: LabelSet, maxPoints = 1e6) {
  const folder = join(root, `out-${set.labels.conventions.pixelCentre}-${maxPoints}`);
  const { notes } = await exportLabels(set, folder, { formats: ['colmap'], colmap: { maxPoints } });
  return { notes, model: readModel(join(folder, 'colmap')) };
}

describe.each(['half', 'integer'] as const)('a model of labels with %s pixel centres', (centre) => {
  let set: LabelSet;
  let model: Model;
  let notes: readonly string[];
  beforeAll(async () => {
    set = await testLabels(root, centre);
    ({ model, notes } = await exported(set));
  });

  it('has pinhole cameras of the original images, named relative to one folder', () => {
    expect(model.cameras.size).toBe(3);
    for (const { model: kind, size } of model.cameras.values()) {
      expect([kind, ...size]).toEqual(['PINHOLE', 128, 72]);
    }
    expect(model.cameras.get(1)!.k[2]).toBeCloseTo(64, 6);
    expect(model.cameras.get(1)!.k[3]).toBeCloseTo(36, 6);
    expect(model.images.map(({ name }) => name)).toEqual([
      'room-0/0.png',
      'room-1/1.png',
      'room-0/2.png',
    ]);
    expect(notes).toEqual([`colmap: --image_path ${root}`]);
  });

  it('reprojects every point to where each view of its track sees it, within 1e-3 pixels', () => {
    let worst = 0;
    for (const { place, track } of model.points) {
      for (let i = 0; i < track.length; i += 2) {
        const image = model.images[track[i]! - 1]!;
        const [x, y] = image.observations[track[i + 1]!]!;
        const [u, v] = project(image, place);
        worst = Math.max(worst, Math.abs(u! - x!), Math.abs(v! - y!));
      }
    }
    expect(worst).toBeLessThan(1e-3);
  });

  it('holds the points of the labels, and tracks that agree with the observations', () => {
    const { points } = labelMaps(set.labels);
    const kept = model.points.length;
    expect(kept).toBeGreaterThan(0.85 * set.labels.depth.length);
    expect(kept).toBeLessThan(set.labels.depth.length);
    const places = new Set<string>();
    for (let i = 0; i < points.length; i += 3) places.add(points.subarray(i, i + 3).join());
    for (const { place } of model.points) {
      expect(places.has(Float32Array.from(place).join())).toBe(true);
    }
    for (const { id, track } of model.points) {
      for (let i = 0; i < track.length; i += 2) {
        expect(model.images[track[i]! - 1]!.observations[track[i + 1]!]![2]).toBe(id);
      }
    }
    const shared = model.points.filter(({ track }) => track.length > 2).length;
    expect(shared).toBeGreaterThan(0.2 * kept);
  });
});

describe('a model', () => {
  it('is thinned', async () => {
    const { model } = await exported(await testLabels(root), 100);
    expect(model.points).toHaveLength(100);
    expect(new Set(model.points.map(({ track }) => track[0])).size).toBe(3);
  });

  it('is refused for cameras with skew', async () => {
    const set = await testLabels(root);
    set.labels.intrinsics[10] = 0.5;
    await expect(exported(set, 10)).rejects.toMatchObject({ code: 'DATA_INVALID' });
  });

  it('says which image COLMAP will not turn', async () => {
    const set = await testLabels(root);
    const { path } = set.images[1]!;
    const turned = await sharp(path).rotate(-90).withMetadata({ orientation: 6 }).png().toBuffer();
    writeFileSync(path, turned);
    const { notes } = await exported(set, 10);
    expect(notes).toEqual([expect.stringContaining('--image_path'), expect.stringContaining(path)]);
  });

  it('is refused for names that COLMAP would cut off', () => {
    const file = { path: join(root, 'my room.png'), width: 4, height: 4 };
    const image = { quaternion: [1, 0, 0, 0], translation: [0, 0, 0], file, observations: [] };
    const write = () => colmapText({ cameras: [], images: [image], points: [] }, root);
    expect(write).toThrow(SpatialError);
    expect(write).toThrow(expect.objectContaining({ code: 'DATA_INVALID' }));
  });
});
