import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { writeSafetensors } from '@spatialsv/core';
import { liftFacts, liftPhotos, readLift, writeLift } from './lift-file.js';
import { testScene } from './test-scene.js';
import { testLabels } from './testing/test-labels.js';

const folder = mkdtempSync(join(tmpdir(), 'spatialsv-lift-'));
afterAll(() => rmSync(folder, { recursive: true }));

const scene = testScene(3);
const { conventions, views, height, width, depth, rays, confidence } = scene;
const predictions = { conventions, views, height, width, depth, rays, depthConfidence: confidence };

describe('a lift in a file', () => {
  it('comes back with its images, maps, labels and conventions', async () => {
    const { labels } = await testLabels(folder);
    const file = join(folder, 'a.safetensors');
    const covered = scene.images.map(() => ({ x0: 4, y0: 0, x1: width, y1: height }));
    const photos = await liftPhotos(scene.images, covered);
    await writeLift(file, { photos, predictions, labels, labelSource: 'test' });
    const read = await readLift(file);
    expect(read.photos).toEqual(photos.map((photo) => ({ ...photo, jpeg: expect.anything() })));
    expect(read.photos[0]).toMatchObject({ name: 'view 1', width: width - 4, height });
    expect([...read.photos[1]!.jpeg]).toEqual([...photos[1]!.jpeg]);
    expect(read.predictions.depth).toEqual(depth);
    expect(read.predictions.conventions).toEqual(conventions);
    // Half precision: 11 bits.
    for (const [i, value] of read.predictions.rays!.entries())
      expect(Math.abs(value - rays[i]!)).toBeLessThanOrEqual(Math.abs(rays[i]!) / 2048 + 1e-7);
    expect(read.labels!.depth).toEqual(labels.depth);
    expect(read.labels!.mask).toEqual(labels.mask);
    expect(read.labels!.extrinsicsWorldToCamera).toEqual(labels.extrinsicsWorldToCamera);
    expect(read.labelSource).toBe('test');
    expect(await liftFacts(file)).toMatchObject({
      labelSource: 'test',
      metrics: { depthRmse: 0, depthDelta1: 1, rotationDeg: expect.closeTo(0, 2) },
    });
  });

  it('is told from another file', async () => {
    const file = join(folder, 'b.safetensors');
    await writeSafetensors(file, new Map());
    await expect(readLift(file)).rejects.toMatchObject({ code: 'FILE_INVALID' });
    expect(await liftFacts(file)).toEqual({});
    expect(await liftFacts(join(folder, 'nowhere.safetensors'))).toBeUndefined();
  });
});
