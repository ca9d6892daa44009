import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { describeLabelSource } from '@spatialsv/core/testing';
import plugin, { onnxSource } from './plugin.js';
import { writeImages } from './testing/images.js';
import { writeOnnx } from './testing/onnx-file.js';
import { da3Graph } from './testing/tiny-graphs.js';

describe('the plugin', () => {
  it('contributes the source under the id onnx', () => {
    expect(plugin.specificationVersion).toBe('v1');
    expect(plugin.contributions()).toEqual([onnxSource]);
    expect(onnxSource).toMatchObject({ kind: 'label-source', id: 'onnx' });
  });
});

const folders: string[] = [];
afterAll(async () => {
  for (const folder of folders) await rm(folder, { recursive: true });
});

/** Cameras that move along a wall two units away, by the brightness of their images. */
const beforeWall = da3Graph({
  depth: [2, 0],
  motion: [0, 0, 0, 0.5, 0, 0, 0, -0.25, 0, 0, 0, 0],
  intrinsics: [30, 0, 14, 0, 30, 7, 0, 0, 1],
});

describeLabelSource(async () => {
  const folder = await mkdtemp(path.join(tmpdir(), 'onnx-'));
  folders.push(folder);
  await writeOnnx(path.join(folder, 'model.onnx'), beforeWall, 'model.onnx_data');
  return {
    source: onnxSource,
    open: {
      weights: folder,
      settings: { input: { size: { multipleOf: 14, longestSide: 28 } } },
    },
    images: await writeImages(folder, 3, { width: 28, height: 14 }),
    reprojectionTolerance: 1e-5,
  };
});
