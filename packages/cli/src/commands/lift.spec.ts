import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import {
  cameraCentre,
  createRandom,
  type GeometryLabelsV1,
  labelMaps,
  meanPointNorm,
  pointsFromRays,
  type RgbImage,
  readImage,
  rotationAngle,
  rotationOf,
} from '@spatialsv/core';
import {
  camerasFromRays,
  cloudMetrics,
  headAgreement,
  liftGeometry,
  liftQuality,
  type QualityName,
  type ViewCamera,
} from '@spatialsv/inspect';
import { learnableLabels } from '@spatialsv/train';
import { createSyntheticSource, writeDataset } from '@spatialsv/vfm-synthetic';
import sharp from 'sharp';
import { runForTest } from '../testing/test-run.js';

// The validator ships no types.
const validator: {
  validateBytes(bytes: Uint8Array): Promise<{ issues: { messages: unknown[] } }>;
} = require('gltf-validator');

const root = mkdtempSync(join(tmpdir(), 'spatialsv-lift-'));
afterAll(() => rmSync(root, { recursive: true }));

interface Room {
  readonly paths: readonly string[];
  readonly images: readonly RgbImage[];
  /** Exact, in the scale and frame in which heads learn them. */
  readonly labels: GeometryLabelsV1;
}

const rooms: Room[] = [];

beforeAll(async () => {
  const folder = join(root, 'rooms');
  await writeDataset({ folder, scenes: 2, seed: 5, split: 'test', width: 64, height: 48 });
  const labeller = createSyntheticSource();
  for (const motion of readdirSync(join(folder, 'other_all_image'))) {
    for (const name of readdirSync(join(folder, 'other_all_image', motion))) {
      const views = join(folder, 'other_all_image', motion, name);
      const paths = readdirSync(views)
        .filter((file) => file.endsWith('.png'))
        .map((file) => join(views, file));
      const images = await Promise.all(paths.map((path) => readImage(path)));
      const found = await labeller.doLabel({ images: paths });
      rooms.push({ paths, images, labels: learnableLabels(found, 'synthetic') });
    }
  }
});

/** Largest errors of cameras beside those of the labels; lengths as shares of the mean distance of the scene. */
function cameraErrors(cameras: readonly (ViewCamera | undefined)[], labels: GeometryLabelsV1) {
  const size = meanPointNorm(labelMaps(labels).points, labels.mask);
  const errors = { degrees: 0, centre: 0, focal: 0 };
  for (const [view, camera] of cameras.entries()) {
    const pose = camera!.extrinsicsWorldToCamera;
    const real = labels.extrinsicsWorldToCamera.subarray(12 * view, 12 * view + 12);
    const angle = (rotationAngle(rotationOf(pose), rotationOf(real)) * 180) / Math.PI;
    const [from, to] = [cameraCentre(pose), cameraCentre(real)];
    const apart = Math.hypot(...from.map((value, axis) => value - to[axis]!)) / size;
    const focal = [0, 4].map((i) =>
      Math.abs(camera!.intrinsics[i]! / labels.intrinsics[9 * view + i]! - 1),
    );
    errors.degrees = Math.max(errors.degrees, angle);
    errors.centre = Math.max(errors.centre, apart);
    errors.focal = Math.max(errors.focal, ...focal);
  }
  return errors;
}

describe('exact maps of rendered rooms, lifted', () => {
  it('give the cameras within 0.1° and 0.1 %', () => {
    expect(rooms).toHaveLength(2);
    for (const { labels } of rooms) {
      const { rays } = labelMaps(labels);
      const { pixelCentre } = labels.conventions;
      const errors = cameraErrors(camerasFromRays(rays, labels, pixelCentre), labels);
      expect(errors.degrees).toBeLessThan(0.1);
      expect(errors.centre).toBeLessThan(0.001);
      expect(errors.focal).toBeLessThan(0.001);
    }
  });

  it('give them within 1° and 2 % where 20 % of the rays are noise, and say so', () => {
    for (const [n, { labels }] of rooms.entries()) {
      const random = createRandom(n + 1);
      const exact = labelMaps(labels).rays;
      const rays = exact.slice();
      for (let ray = 0; ray < rays.length / 6; ray++)
        if (random.uniform() < 0.2) rays.set(random.normals(6), 6 * ray);
      const cameras = camerasFromRays(rays, labels, labels.conventions.pixelCentre);
      const errors = cameraErrors(cameras, labels);
      expect(errors.degrees).toBeLessThan(1);
      expect(errors.centre).toBeLessThan(0.02);
      expect(errors.focal).toBeLessThan(0.02);
      for (const camera of cameras) expect(camera!.fit!.inlierShare).toBeCloseTo(0.8, 1);
    }
  });

  it('have no errors beside their labels, and heads that agree', async () => {
    const { labels, images } = rooms[0]!;
    const { rays, points } = labelMaps(labels);
    const { conventions, views, height, width, depth } = labels;
    const predictions = { conventions, views, height, width, depth, rays, points };
    const result = await liftGeometry(
      { title: 'exact', predictions, images, labels },
      join(root, 'exact'),
    );
    expect(result.metrics!.depthRmse).toBe(0);
    expect(result.metrics!.rotationDeg).toBeLessThan(0.1);
    expect(result.clouds!.raw.fScore).toBe(1);
    expect(result.clouds!.raw.chamfer).toBeLessThan(1e-5);
    for (const { relative } of result.agreement!) expect(relative).toBeLessThan(1e-5);
    expect(JSON.parse(readFileSync(join(root, 'exact/lift.json'), 'utf8'))).toMatchObject({
      views,
      depthStep16Bit: result.depthStep16Bit,
      metrics: { depthRmse: 0 },
    });
  });

  it('are measured by how far they are moved', () => {
    const { labels } = rooms[0]!;
    const { rays, points } = labelMaps(labels);
    const { conventions, views, height, width } = labels;
    const depth = labels.depth.map((value) => 1.2 * value);
    const predictions = { conventions, views, height, width, depth, rays, points };
    const quality = (name: QualityName) => liftQuality({ predictions, labels }, name)!;
    expect(quality('depth-abs-rel')).toBeCloseTo(0.2, 4);
    expect(quality('depth-rmse-median')).toBeLessThan(1e-6);
    expect(quality('depth-delta1')).toBe(1);
    expect(quality('rotation')).toBeLessThan(0.1);
    const { raw, aligned } = cloudMetrics(pointsFromRays(rays, depth), labels)!;
    expect(quality('chamfer')).toBe(raw.chamfer);
    expect(raw.chamfer).toBeGreaterThan(0.02);
    expect(aligned!.chamfer).toBeLessThan(raw.chamfer);
    // The first camera is the origin: its points move by a fifth of their distance.
    const { views: byView } = headAgreement(predictions)!;
    expect(byView[0]!.relative).toBeCloseTo(0.2 / 1.1, 3);
    expect(liftQuality({ predictions }, 'depth-rmse')).toBeUndefined();
  });
});

describe('the files of a lift', () => {
  const folder = join(root, 'exact');
  const text = (name: string) => readFileSync(join(folder, name), 'utf8');

  it('are a GLB without a message of the Khronos validator', async () => {
    const { issues } = await validator.validateBytes(readFileSync(join(folder, 'scene.glb')));
    expect(issues.messages).toEqual([]);
  });

  it('are a PLY with as many points as its header says, on the surfaces of the room', () => {
    const bytes = readFileSync(join(folder, 'points.ply'));
    const end = bytes.indexOf('end_header\n') + 'end_header\n'.length;
    const count = Number(/element vertex (\d+)/.exec(bytes.toString('ascii', 0, end))![1]);
    expect(bytes.length - end).toBe(15 * count);
    expect(count).toBeGreaterThan(1000);
    const { points } = labelMaps(rooms[0]!.labels);
    const first = [0, 4, 8].map((offset) => bytes.readFloatLE(end + offset));
    const places = Array.from({ length: points.length / 3 }, (_, i) =>
      Math.hypot(...first.map((value, axis) => value - points[3 * i + axis]!)),
    );
    expect(Math.min(...places)).toBeLessThan(1e-5);
  });

  it('are a COLMAP model whose points fall where its images see them', () => {
    const rows = (name: string) =>
      text(`colmap/${name}`)
        .split('\n')
        .filter((line) => line !== '' && !line.startsWith('#'));
    expect(rows('cameras.txt')).toHaveLength(rooms[0]!.labels.views);
    expect(rows('points3D.txt').length).toBeGreaterThan(1000);
    expect(rows('cameras.txt')[0]).toMatch(/^1 PINHOLE 64 48 /);
  });

  it('are images with a colour bar, and depth in 16 bits whose step is stated', async () => {
    const { depthStep16Bit } = JSON.parse(text('lift.json'));
    const { labels } = rooms[0]!;
    const grey = await sharp(join(folder, 'depth/view-1-16bit.png'))
      .toColourspace('grey16')
      .raw({ depth: 'ushort' })
      .toBuffer();
    const codes = new Uint16Array(grey.buffer, grey.byteOffset, grey.length / 2);
    const pixels = labels.height * labels.width;
    expect(codes.length).toBe(pixels);
    for (let i = 0; i < pixels; i += 97)
      expect(codes[i]! * depthStep16Bit).toBeCloseTo(labels.depth[i]!, 3);
    const drawn = await sharp(join(folder, 'depth/view-1.png')).metadata();
    expect(drawn.width).toBeGreaterThan(4 * labels.width);
    expect(readdirSync(join(folder, 'agreement'))).toHaveLength(labels.views);
  });
});

describe('lift', () => {
  const model = join(root, 'model');
  const store = join(root, 'labels');
  const lift = (...rest: string[]) =>
    runForTest(['lift', '--model', model, '--images', ...rooms[0]!.paths, '--json', ...rest]);

  beforeAll(async () => {
    const size = ['--hidden-size', '64', '--layers', '4', '--attention-heads', '4'];
    await runForTest(['tiny', '--family', 'qwen2.5-vl', '--out', model, '--heads', ...size]);
    const images = ['--images', ...rooms[0]!.paths];
    await runForTest(['label', '--source', 'synthetic', ...images, '--out', store]);
  });

  it('measures the heads beside the labels of a store', async () => {
    const { exitCode, out } = await lift('--labels', store, '--out', join(root, 'lifted'));
    expect(exitCode).toBe(0);
    const { metrics, clouds, agreement, views } = JSON.parse(out);
    expect(views).toBe(rooms[0]!.paths.length);
    expect(metrics.depthRmse).toBeGreaterThan(0);
    expect(clouds.raw.chamfer).toBeGreaterThan(0);
    expect(agreement).toHaveLength(views);
  });

  it('says what is wrong with labels before the model runs', async () => {
    const nowhere = await lift('--labels', join(root, 'nowhere'), '--out', join(root, 'x'));
    expect(nowhere.exitCode).toBe(1);
    expect(nowhere.err).toMatch(/^error\[FILE_MISSING\]: .*nowhere/);
    const both = await lift('--labels', store, '--weights', 'w', '--out', join(root, 'x'));
    expect([both.exitCode, both.err]).toEqual([2, expect.stringContaining('--weights beside')]);
    const idle = await lift('--source', 'synthetic', '--weights', 'w', '--out', join(root, 'x'));
    expect([idle.exitCode, idle.err]).toEqual([2, expect.stringContaining('weights w: the label')]);
  });
});
