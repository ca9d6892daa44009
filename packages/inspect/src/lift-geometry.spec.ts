import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { SpatialError } from '@spatialsv/core';
import { liftGeometry } from './lift-geometry.js';
import type { LiftInput } from './lift-input.js';
import { testScene } from './test-scene.js';

const scene = testScene(2);
const { conventions, views, height, width, depth, rays, confidence } = scene;
const labels = {
  conventions,
  views,
  height,
  width,
  depth,
  mask: new Uint8Array(depth.length).fill(1),
  intrinsics: Float32Array.from(scene.cameras.flatMap((camera) => [...camera.intrinsics])),
  extrinsicsWorldToCamera: Float32Array.from(
    scene.cameras.flatMap((camera) => [...camera.extrinsicsWorldToCamera]),
  ),
};
const input: LiftInput = {
  title: 'A <room> & "more"',
  predictions: { conventions, views, height, width, depth, rays, depthConfidence: confidence },
  images: scene.images,
  cameras: scene.cameras,
  labels,
  dialogue: { question: 'Where?', answer: '</script>', correct: true },
};

describe('liftGeometry', () => {
  const folder = mkdtempSync(join(tmpdir(), 'spatialsv-lift-'));
  afterAll(() => rmSync(folder, { recursive: true }));

  it('writes every file it names', async () => {
    const result = await liftGeometry(input, folder);
    expect(result.points).toBeGreaterThan(1000);
    expect(result.metrics).toMatchObject({ depthRmse: 0, depthDelta1: 1 });
    expect(result.metrics?.rotationDeg).toBeCloseTo(0, 3);
    expect(result.files).toContain('depth/view-2-label-prediction.png');
    expect(result.files.filter((name) => !existsSync(join(folder, name)))).toEqual([]);
    const cameras = JSON.parse(readFileSync(join(folder, 'cameras.json'), 'utf8'));
    expect(cameras.cameras).toHaveLength(2);
  });

  it('makes a page that loads nothing and keeps texts out of its markup', async () => {
    const page = readFileSync((await liftGeometry(input, folder)).page, 'utf8');
    // As booleans: a failure does not print the page.
    expect([/(src|href)="(https?:|\/\/)/.test(page), page.includes('<room>')]).toEqual([
      false,
      false,
    ]);
    const scene = /<script type="application\/json" id="scene-lift">(.*?)<\/script>/s.exec(page)!;
    const { label, predictions, views: photographs } = JSON.parse(scene[1]!);
    expect([label.width, predictions[0].hasConfidence, photographs.length]).toEqual([32, true, 2]);
    const data = /<script type="application\/json" id="report">(.*?)<\/script>/s.exec(page)!;
    expect(JSON.parse(data[1]!)).toMatchObject({
      title: input.title,
      questions: [{ text: 'Where?', answers: [{ text: '</script>', score: 1 }] }],
    });
  });

  it('takes labels that are valid nowhere, one view of one pixel, and depth without end', async () => {
    const masked = { ...labels, mask: new Uint8Array(depth.length) };
    const unmeasured = await liftGeometry({ ...input, labels: masked }, folder);
    expect(unmeasured.metrics).toBeUndefined();
    const { labels: _, ...rest } = input;
    const endless = depth.map(() => Infinity);
    const none = { ...rest, predictions: { ...input.predictions, depth: endless } };
    expect((await liftGeometry(none, folder)).points).toBe(0);
    const tiny = testScene(1, 1, 1);
    const one = { ...tiny, depthConfidence: tiny.confidence };
    const { cameras, images } = tiny;
    expect(
      (await liftGeometry({ title: 'x', predictions: one, images, cameras }, folder)).points,
    ).toBe(1);
    const empty = { ...one, views: 0, depth: new Float32Array(0), rays: new Float32Array(0) };
    await expect(
      liftGeometry({ title: 'x', predictions: empty, images: [], cameras: [] }, folder),
    ).rejects.toMatchObject({ code: 'DATA_INVALID' });
  });

  it('solves the cameras from the ray map where none are given', async () => {
    const { cameras: _, ...rest } = input;
    await liftGeometry(rest, folder);
    const found = JSON.parse(readFileSync(join(folder, 'cameras.json'), 'utf8'));
    expect(found.conventions.origin).toBe('ray map');
    expect(found.cameras[1].centre[0]).toBeCloseTo(0.4, 4);
  });

  it('takes points from the cameras where there is no ray map', async () => {
    const { rays: _, ...predictions } = input.predictions;
    const result = await liftGeometry({ ...input, predictions }, folder);
    expect(result.points).toBeGreaterThan(1000);
  });

  it('shows depth where nothing says where its points lie', async () => {
    const { rays: _, ...predictions } = input.predictions;
    const { cameras: __, ...rest } = input;
    const alone = join(folder, 'depth-alone');
    const result = await liftGeometry({ ...rest, predictions }, alone);
    expect(result).toMatchObject({
      points: 0,
      notes: [expect.stringMatching(/^points: /), expect.stringMatching(/^colmap: /)],
    });
    expect(result.metrics?.depthRmse).toBeCloseTo(0, 3);
    expect(result.clouds).toBeUndefined();
    expect(result.files).toContain('depth/view-2.png');
    expect(result.files.filter((name) => /points|glb|cameras/.test(name))).toEqual([]);
  });

  it('refuses labels of another size or scale, and a source that is not there', async () => {
    const sizes = [{ width: 1 }, { views: 1, height: labels.views * labels.height }];
    for (const size of sizes)
      await expect(
        liftGeometry({ ...input, labels: { ...labels, ...size } }, folder),
      ).rejects.toMatchObject({ code: 'SHAPE_MISMATCH' });
    const relative = { ...labels, conventions: { ...conventions, scale: 'relative' as const } };
    const mixed = liftGeometry({ ...input, labels: relative }, folder);
    await expect(mixed).rejects.toMatchObject({ code: 'CONVENTION_MISMATCH' });
    const none = await liftGeometry(input, folder, { pointSource: 'points' }).catch((e) => e);
    expect(SpatialError.isInstance(none) && none.code).toBe('DATA_INVALID');
  });
});
