import { createHash } from 'node:crypto';
import { readFile, rename, rm, writeFile } from 'node:fs/promises';
import path from 'node:path';
import {
  copySource,
  float32Source,
  hashFile,
  hashWeights,
  openWeights,
  sizeOf,
  type TensorSource,
  writeSafetensors,
} from '@spatialsv/core/kit';
import { withTemporaryFolder } from '@spatialsv/core/testing';
import { writeTinyVggt } from './tiny-weights.js';
import { vggtConfigFile } from './vggt-config.js';
import { openVggtWeights } from './vggt-weights.js';

const FILE = 'model.safetensors';
const NAME = 'camera_head.pose_branch.fc1.bias';

const withTiny = (body: (folder: string) => Promise<void>): Promise<void> =>
  withTemporaryFolder(async (folder) => {
    await writeTinyVggt({ folder, seed: 3 });
    await body(folder);
  });

/** Writes the weights again with some tensors changed. */
const change = async (
  folder: string,
  edit: (tensors: Map<string, TensorSource>) => void,
): Promise<void> => {
  const reader = await openWeights(folder);
  const tensors = new Map(reader.names.map((name) => [name, copySource(reader, name)]));
  edit(tensors);
  await writeSafetensors(path.join(folder, 'new.safetensors'), tensors);
  await rename(path.join(folder, 'new.safetensors'), path.join(folder, FILE));
};

const values = (...shape: number[]): TensorSource =>
  float32Source(new Float32Array(sizeOf(shape)), shape);

const failure = (code: string, ...texts: string[]) =>
  expect.objectContaining({
    code,
    message: expect.stringContaining(texts[0] ?? ''),
    hint: expect.stringContaining(texts[1] ?? ''),
  });

describe('openVggtWeights', () => {
  it('opens a folder, or the file in it, and leaves the track head alone', () =>
    withTiny(async (folder) => {
      await change(folder, (tensors) => tensors.set('track_head.norm.weight', values(4)));
      const opened = await openVggtWeights(folder);
      expect(Object.keys(opened.tensors)).toHaveLength(347);
      expect(await openVggtWeights(path.join(folder, FILE))).toEqual(opened);
      const hash = createHash('sha256').update(await readFile(path.join(folder, FILE)));
      expect(await hashWeights(opened.tensors)).toBe(hash.digest('hex'));
    }));

  it('names a tensor that is missing, and the one that is nearly called so', () =>
    withTiny(async (folder) => {
      await change(folder, (tensors) => {
        tensors.set(`${NAME}es`, tensors.get(NAME)!);
        tensors.delete(NAME);
      });
      const error = failure('WEIGHT_MISSING', `${NAME}, found none`, `is ${NAME}es.`);
      await expect(openVggtWeights(folder)).rejects.toThrow(error);
    }));

  it('names a tensor of another shape, with both shapes', () =>
    withTiny(async (folder) => {
      await change(folder, (tensors) => tensors.set(NAME, values(33)));
      const error = failure('SHAPE_MISMATCH', `${NAME}: expected (32) by config.json, found (33)`);
      await expect(openVggtWeights(folder)).rejects.toThrow(error);
    }));

  it('names a tensor that VGGT does not have', () =>
    withTiny(async (folder) => {
      await change(folder, (tensors) => tensors.set('depth_head.scratch.sky.weight', values(2)));
      const error = failure('WEIGHT_UNEXPECTED', 'the tensor depth_head.scratch.sky.weight');
      await expect(openVggtWeights(folder)).rejects.toThrow(error);
    }));

  it('refuses weights beside another configuration', () =>
    withTiny(async (folder) => {
      await writeFile(path.join(folder, 'config.json'), '{}');
      await expect(openVggtWeights(folder)).rejects.toThrow(failure('SHAPE_MISMATCH'));
    }));

  it('opens weights without a point head where the configuration says so', () =>
    withTiny(async (folder) => {
      const { config } = await openVggtWeights(folder);
      const file = JSON.stringify(vggtConfigFile({ ...config, pointHead: false }));
      await writeFile(path.join(folder, 'config.json'), file);
      const { tensors } = await openVggtWeights(folder);
      expect(Object.keys(tensors).some((name) => name.startsWith('point_head.'))).toBe(false);
    }));

  it('says that pickled weights are not read', () =>
    withTiny(async (folder) => {
      await rm(path.join(folder, FILE));
      const pickle = path.join(folder, 'model.pt');
      await writeFile(pickle, '');
      const error = failure('FILE_MISSING', 'model.pt', '.safetensors');
      await expect(openVggtWeights(folder)).rejects.toThrow(error);
      await expect(openVggtWeights(pickle)).rejects.toThrow(error);
    }));

  it('says what a wrong folder lacks', () =>
    withTemporaryFolder(async (folder) => {
      await expect(openVggtWeights(folder)).rejects.toThrow(failure('FILE_MISSING', 'config.json'));
    }));
});

describe('random weights', () => {
  it('are equal for equal seeds only', () =>
    withTemporaryFolder(async (folder) => {
      const hashes: string[] = [];
      for (const seed of [1, 1, 2]) {
        await writeTinyVggt({ folder: path.join(folder, 'tiny'), seed });
        hashes.push(await hashFile(path.join(folder, 'tiny', FILE)));
      }
      expect(hashes[1]).toBe(hashes[0]);
      expect(hashes[2]).not.toBe(hashes[0]);
    }));
});
