import { mkdir, readdir, readFile, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { readCheckpointConfig, saveCheckpoint } from './checkpoint-folder.js';
import { float32Source, openWeights, saveWeights } from './safetensors/index.js';
import { withTemporaryFolder } from './testing/index.js';

const failsWith = (code: string, text: string) =>
  expect.objectContaining({ code, message: expect.stringContaining(text) });

const writeCheckpoint = async (folder: string): Promise<void> => {
  await mkdir(folder);
  await writeFile(path.join(folder, 'config.json'), '{"model_type": "tiny"}');
  await writeFile(path.join(folder, 'tokenizer.json'), '{}');
  const tensors = new Map([
    ['a', float32Source(Float32Array.of(1, 2), [2], 'BF16')],
    ['b', float32Source(Float32Array.of(3), [1])],
  ]);
  await saveWeights(folder, tensors);
};

describe('readCheckpointConfig', () => {
  it('reads the published keys', async () => {
    await withTemporaryFolder(async (root) => {
      await writeCheckpoint(path.join(root, 'model'));
      const config = await readCheckpointConfig(path.join(root, 'model'));
      expect(config).toEqual({ model_type: 'tiny' });
    });
  });

  it('says what a wrong path holds', async () => {
    await withTemporaryFolder(async (root) => {
      const absent = readCheckpointConfig(path.join(root, 'absent'));
      await expect(absent).rejects.toThrow(failsWith('FILE_MISSING', 'found nothing at this path'));
      await expect(readCheckpointConfig(root)).rejects.toThrow(
        failsWith('FILE_MISSING', 'found an empty folder'),
      );
      await writeFile(path.join(root, 'photo.jpg'), '');
      await expect(readCheckpointConfig(root)).rejects.toThrow(
        failsWith('FILE_MISSING', 'found photo.jpg'),
      );
      await expect(readCheckpointConfig(path.join(root, 'photo.jpg'))).rejects.toThrow(
        failsWith('FILE_MISSING', 'found a file'),
      );
    });
  });

  it.each([
    ['{', 'cut off'],
    ['[]', 'a list'],
    ['null', 'null'],
    ['3', 'a number'],
  ])('refuses %s', async (text, found) => {
    await withTemporaryFolder(async (root) => {
      await writeFile(path.join(root, 'config.json'), text);
      await expect(readCheckpointConfig(root)).rejects.toThrow(failsWith('FILE_INVALID', found));
    });
  });
});

describe('saveCheckpoint', () => {
  it('copies the other files and replaces some weights in their stored dtype', async () => {
    await withTemporaryFolder(async (root) => {
      const [from, to] = [path.join(root, 'from'), path.join(root, 'to')];
      await writeCheckpoint(from);
      const reader = await openWeights(from);
      await saveCheckpoint(reader, to, new Map([['a', Float32Array.of(7, 8)]]));
      expect((await readdir(to)).sort()).toEqual((await readdir(from)).sort());
      const saved = await openWeights(to);
      expect(saved.info('a').dtype).toBe('BF16');
      expect([...(await saved.readFloat32('a')), ...(await saved.readFloat32('b'))]).toEqual([
        7, 8, 3,
      ]);
      expect(await readFile(path.join(to, 'config.json'), 'utf8')).toBe('{"model_type": "tiny"}');
    });
  });

  it('may write over the folder that it reads', async () => {
    await withTemporaryFolder(async (root) => {
      const folder = path.join(root, 'model');
      await writeCheckpoint(folder);
      await saveCheckpoint(await openWeights(folder), folder, new Map([['b', Float32Array.of(9)]]));
      const saved = await openWeights(folder);
      expect([...(await saved.readFloat32('a')), ...(await saved.readFloat32('b'))]).toEqual([
        1, 2, 9,
      ]);
    });
  });

  it('refuses unknown names and other element counts', async () => {
    await withTemporaryFolder(async (root) => {
      await writeCheckpoint(path.join(root, 'model'));
      const reader = await openWeights(path.join(root, 'model'));
      const save = (name: string, data: Float32Array) =>
        saveCheckpoint(reader, path.join(root, 'to'), new Map([[name, data]]));
      await expect(save('c', Float32Array.of(1))).rejects.toThrow(failsWith('WEIGHT_MISSING', 'c'));
      await expect(save('a', Float32Array.of(1))).rejects.toThrow(failsWith('SHAPE_MISMATCH', 'a'));
    });
  });
});
