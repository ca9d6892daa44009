import { readFile, stat, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { copySource, openWeights, saveWeights, type TensorSource } from '@spatialsv/core/kit';
import { withTemporaryFolder } from '@spatialsv/core/testing';
import { parseDa3Config, readDa3Config, variantConfig } from './da3-config.js';
import { da3ConfigFile } from './da3-config-file.js';
import { openDa3 } from './da3-model.js';
import { RAY_NORM } from './da3-names.js';
import { openDa3Weights } from './da3-weights.js';
import { waves } from './testing/fill.js';
import { writeTiny } from './tiny-weights.js';

/** A tiny checkpoint with some tensors renamed, or left out where the new name is undefined. */
const withRenamed = (
  rename: (name: string) => string | undefined,
  use: (folder: string) => Promise<void>,
) =>
  withTemporaryFolder(async (root) => {
    const [tiny, folder] = [path.join(root, 'tiny'), path.join(root, 'renamed')];
    await writeTiny({ folder: tiny, seed: 5 });
    await writeTiny({ folder, seed: 5 });
    const reader = await openWeights(tiny);
    const tensors = new Map<string, TensorSource>();
    for (const name of reader.names) {
      const renamed = rename(name);
      if (renamed !== undefined) tensors.set(renamed, copySource(reader, name));
    }
    await saveWeights(folder, tensors);
    await use(folder);
  });

const open = async (folder: string) => openDa3Weights(folder, await readDa3Config(folder));
const FC_T = 'model.cam_dec.fc_t.weight';

it('names a missing tensor and the nearest one', () =>
  withRenamed(
    (name) => (name === FC_T ? undefined : name),
    async (folder) => {
      await expect(open(folder)).rejects.toMatchObject({
        code: 'WEIGHT_MISSING',
        message: expect.stringContaining(FC_T),
        hint: expect.stringContaining('model.cam_dec.fc_'),
      });
    },
  ));

it('names a tensor that does not belong there', () =>
  withTemporaryFolder(async (folder) => {
    await writeTiny({ folder, seed: 5 });
    const reader = await openWeights(folder);
    const tensors = new Map(reader.names.map((name) => [name, copySource(reader, name)]));
    tensors.set('model.head.extra', { dtype: 'F32', shape: [1], bytes: () => new Uint8Array(4) });
    await withTemporaryFolder(async (other) => {
      await saveWeights(other, tensors);
      const config = await readDa3Config(folder);
      await expect(openDa3Weights(other, config)).rejects.toMatchObject({
        code: 'WEIGHT_UNEXPECTED',
        message: expect.stringContaining('model.head.extra'),
      });
    });
  }));

it('names a tensor of another shape', () =>
  withTemporaryFolder(async (folder) => {
    await writeTiny({ folder, seed: 5 });
    const file = JSON.parse(await readFile(path.join(folder, 'config.json'), 'utf8'));
    file.config.head.features = 32;
    await writeFile(path.join(folder, 'config.json'), JSON.stringify(file));
    await expect(open(folder)).rejects.toMatchObject({
      code: 'SHAPE_MISMATCH',
      message: expect.stringMatching(/expected \(32, .*found \(16, /),
    });
  }));

it('opens older files, and predicts the same from them', () => {
  const old = (name: string) =>
    name
      .replace('model.', 'module.')
      .replace('cam_dec.backbone', 'all_heads.camera_head.more_mlps')
      .replace('.cam_dec.', '.all_heads.camera_head.')
      .replace('fc_qvec', 'fc_rot')
      .replace('cam_enc', 'all_heads.camera_cond_head')
      .replace('module.head', 'module.all_heads.head')
      .replace('_aux.', '_ray.')
      .replace('camera_token', 'camera_token_extra')
      .replace(RAY_NORM.replace('_aux', '_ray'), RAY_NORM.replace('_aux.0', '_ray.3'));
  return withRenamed(old, async (folder) => {
    const views = { views: 1, height: 28, width: 42, pixels: waves(1, 28, 42) };
    const [first, second] = [await openDa3(folder), await openDa3(path.join(folder, '../tiny'))];
    expect(await first.predict(views)).toEqual(await second.predict(views));
    await Promise.all([first.dispose(), second.dispose()]);
  });
});

describe('random weights', () => {
  it('are equal for equal seeds', () =>
    withTemporaryFolder(async (root) => {
      const hashOf = async (name: string, seed: number) => {
        const folder = path.join(root, name);
        await writeTiny({ folder, seed });
        return (await open(folder)).hash();
      };
      const [first, same, other] = [
        await hashOf('a', 1),
        await hashOf('b', 1),
        await hashOf('c', 2),
      ];
      expect(same).toBe(first);
      expect(other).not.toBe(first);
      expect((await stat(path.join(root, 'a/model.safetensors'))).size).toBeLessThan(2e6);
    }));

  it.each(['da3-small', 'da3-giant-1.1', 'da3mono-large', 'da3nested-giant-large'])(
    'have a configuration file that is read back: %s',
    (name) => {
      const config = variantConfig(name);
      expect(parseDa3Config(da3ConfigFile(config))).toEqual(config);
    },
  );
});
