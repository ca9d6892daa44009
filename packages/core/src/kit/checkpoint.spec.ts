import { rm, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { float32Source, openWeights, saveWeights } from '../safetensors/index.js';
import { withTemporaryFolder } from '../testing/temporary-folder.js';
import { type CheckpointContent, checkpointFolder, openCheckpoint, renamed } from './checkpoint.js';

const shapes = { 'table.weight': [2, 3], 'head.weight': [2, 3], 'norm.weight': [3] };
const tied = { name: 'head.weight', source: 'table.weight', isTied: true };
const short = (name: string) => name.replace(/^model\./, '');
const content: CheckpointContent = { shapes, names: renamed(short), tied };

const values = (first: number, ...shape: number[]) => {
  const size = shape.reduce((a, b) => a * b, 1);
  return float32Source(
    Float32Array.from({ length: size }, (_, i) => first + i),
    shape,
  );
};

const table = values(1, 2, 3);
const norm = values(5, 3);

const withWeights = (
  tensors: Readonly<Record<string, ReturnType<typeof values>>>,
  use: (folder: string) => Promise<void>,
) =>
  withTemporaryFolder(async (folder) => {
    await saveWeights(folder, new Map(Object.entries(tensors)));
    await use(folder);
  });

const refused = (folder: string, code: string, message: string, hint = '') =>
  expect(openCheckpoint(folder, content)).rejects.toMatchObject({
    code,
    message: expect.stringContaining(message),
    hint: expect.stringContaining(hint),
  });

describe('openCheckpoint', () => {
  it('maps names of the file to published ones, and writes those of the file again', () =>
    withWeights({ 'model.table.weight': table, 'model.norm.weight': norm }, async (folder) => {
      const opened = await openCheckpoint(folder, content);
      expect(Object.keys(opened.weights).sort()).toEqual(['norm.weight', 'table.weight']);
      const target = path.join(folder, 'target');
      await opened.save(target, new Map([['norm.weight', Float32Array.of(7, 8, 9)]]));
      const saved = await openWeights(target);
      expect([...(await saved.readFloat32('model.norm.weight'))]).toEqual([7, 8, 9]);
      expect([...(await saved.readFloat32('model.table.weight'))]).toEqual([1, 2, 3, 4, 5, 6]);
    }));

  it('takes a matrix that is not stored, or repeats its source, for the source', async () => {
    await withWeights({ 'table.weight': table, 'norm.weight': norm }, async (folder) => {
      expect((await openCheckpoint(folder, content)).isTied).toBe(true);
    });
    const copy = { 'table.weight': table, 'head.weight': table, 'norm.weight': norm };
    await withWeights(copy, async (folder) => {
      const opened = await openCheckpoint(folder, content);
      expect(opened.isTied).toBe(true);
      expect(Object.keys(opened.weights)).not.toContain('head.weight');
      const target = path.join(folder, 'target');
      await opened.save(target, new Map([['table.weight', new Float32Array(6).fill(2)]]));
      const head = await (await openWeights(target)).readFloat32('head.weight');
      expect([...head]).toEqual([2, 2, 2, 2, 2, 2]);
    });
  });

  it('keeps a matrix with values of its own, whatever the configuration says', () => {
    const own = { 'table.weight': table, 'head.weight': values(9, 2, 3), 'norm.weight': norm };
    return withWeights(own, async (folder) => {
      for (const isTied of [true, false]) {
        const opened = await openCheckpoint(folder, { ...content, tied: { ...tied, isTied } });
        expect(opened.isTied).toBe(false);
        expect(Object.keys(opened.weights)).toContain('head.weight');
      }
    });
  });

  it('asks for a matrix that the configuration does not tie', () =>
    withWeights({ 'table.weight': table, 'norm.weight': norm }, async (folder) => {
      const untied = { ...content, tied: { ...tied, isTied: false } };
      await expect(openCheckpoint(folder, untied)).rejects.toMatchObject({
        code: 'WEIGHT_MISSING',
        message: expect.stringContaining('head.weight'),
      });
    }));

  it('leaves buffers and what the model is said not to read alone', () => {
    const more = {
      ...{ 'table.weight': table, 'norm.weight': norm },
      ...{ 'rotary_emb.inv_freq': norm, 'track.weight': norm },
    };
    return withWeights(more, async (folder) => {
      await refused(folder, 'WEIGHT_UNEXPECTED', 'track.weight');
      const isUnread = (name: string) => name.startsWith('track.');
      const { weights } = await openCheckpoint(folder, { ...content, isUnread });
      expect(Object.keys(weights)).toHaveLength(2);
    });
  });

  it('names what is missing and the nearest name, a wrong shape, and one tensor under two names', async () => {
    await withWeights({ 'table.weight': table, 'nrom.weight': norm }, (folder) =>
      refused(folder, 'WEIGHT_MISSING', 'norm.weight', 'nrom.weight'),
    );
    await withWeights({ 'table.weight': table, 'norm.weight': values(1, 4) }, (folder) =>
      refused(folder, 'SHAPE_MISMATCH', 'norm.weight: expected (3) by config.json, found (4)'),
    );
    const twice = { 'table.weight': table, 'norm.weight': norm, 'model.norm.weight': norm };
    await withWeights(twice, (folder) =>
      refused(folder, 'WEIGHT_UNEXPECTED', 'norm.weight and model.norm.weight'),
    );
  });

  it('says that pickled weights are not read', () =>
    withWeights({ 'table.weight': table }, async (folder) => {
      const weights = path.join(folder, 'model.safetensors');
      expect(await checkpointFolder(weights)).toBe(folder);
      expect(await checkpointFolder(folder)).toBe(folder);
      await rm(weights);
      await refused(folder, 'FILE_MISSING', 'model.safetensors');
      const pickle = path.join(folder, 'pytorch_model.bin');
      await writeFile(pickle, '');
      await refused(folder, 'FILE_MISSING', 'pytorch_model.bin', 'model.safetensors');
      await expect(checkpointFolder(pickle)).rejects.toMatchObject({ code: 'FILE_MISSING' });
    }));
});
