import { cp, mkdir, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { describeLabelSource } from '@spatialsv/core/testing';
import { writeDataset } from './dataset.js';
import plugin, { syntheticSource } from './plugin.js';

describe('the plugin', () => {
  it('contributes the source under the id synthetic', () => {
    expect(plugin.specificationVersion).toBe('v1');
    expect(plugin.contributions()).toMatchObject([
      { specificationVersion: 'v1', kind: 'label-source', id: 'synthetic' },
    ]);
  });
});

const folders: string[] = [];
afterAll(async () => {
  for (const folder of folders) await rm(folder, { recursive: true });
});

describeLabelSource(async () => {
  const folder = await mkdtemp(path.join(tmpdir(), 'synthetic-'));
  folders.push(folder);
  const size = { width: 112, height: 84 };
  await writeDataset({
    folder,
    scenes: 1,
    seed: 8,
    split: 'test',
    motions: ['around'],
    stepDeg: 20,
    ...size,
  });
  const scene = path.join(folder, 'other_all_image/around/test_000000');
  const foreignImage = path.join(folder, 'foreign/1.png');
  await mkdir(path.dirname(foreignImage));
  await cp(path.join(scene, '1.png'), foreignImage);
  return {
    source: syntheticSource,
    images: [1, 2, 3].map((k) => path.join(scene, `${k}.png`)),
    foreignImage,
    // Depth is compared at the nearest pixel centre; the labels themselves agree exactly (render-view.spec.ts).
    reprojectionTolerance: 0.005,
  };
});
