import { existsSync, readFileSync } from 'node:fs';
import { readdir, readFile } from 'node:fs/promises';
import path from 'node:path';
import { readImage } from '@spatialsv/core/kit';
import { withTemporaryFolder } from '@spatialsv/core/testing';
import { type DatasetOptions, type MindCubeRow, writeDataset } from './dataset.js';

const small = (folder: string, more: Partial<DatasetOptions> = {}): DatasetOptions => ({
  folder,
  scenes: 3,
  seed: 2,
  split: 'train',
  width: 64,
  height: 48,
  ...more,
});

const readRows = async (file: string): Promise<MindCubeRow[]> => {
  const text = await readFile(file, 'utf8');
  return text
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line) as MindCubeRow);
};

const official = path.resolve(
  import.meta.dirname,
  '../../../../shared/data/benchmarks/mindcube/tinybench_rows_official_keys.jsonl',
);

describe('writeDataset', () => {
  it("writes MindCube's layout with rows that name existing images", () =>
    withTemporaryFolder(async (folder) => {
      const progress: number[] = [];
      const summary = await writeDataset(
        small(folder, { onProgress: (done, total) => progress.push(done / total) }),
      );
      expect(summary.file).toBe(path.join(folder, 'raw', 'MindCube_train.jsonl'));
      const rows = await readRows(summary.file);
      expect(rows).toHaveLength(summary.questions);
      expect(summary).toMatchObject({ scenes: 3, images: 11 });
      expect(progress).toEqual([1 / 3, 2 / 3, 1]);
      for (const row of rows) {
        const motion = row.images[0]!.split('/')[1]!;
        expect(row.id).toContain(motion);
        expect(row.category[1]).toBe(motion);
        expect(row.images.every((image) => existsSync(path.join(folder, image)))).toBe(true);
        expect(row.images.length).toBeGreaterThanOrEqual(2);
        expect(row.question).toContain(` ${row.gt_answer}. `);
      }
      expect(new Set(rows.map(({ id }) => id)).size).toBe(rows.length);
      const image = await readImage(path.join(folder, rows[0]!.images[0]!));
      expect([image.width, image.height]).toEqual([64, 48]);
    }));

  it('tells the setting by the first motion that the id contains', () =>
    withTemporaryFolder(async (folder) => {
      const rows = await readRows((await writeDataset(small(folder))).file);
      const settings = ['around', 'rotation', 'translation', 'among'];
      for (const { id, category } of rows) {
        expect(settings.find((setting) => id.includes(setting))).toBe(category[1]);
      }
      expect(new Set(rows.map(({ category }) => category[1])).size).toBe(3);
    }));

  it('is a pure function of its options, and splits share no room', () =>
    withTemporaryFolder(async (folder) => {
      const [a, b] = [path.join(folder, 'a'), path.join(folder, 'b')];
      const first = await writeDataset(small(a));
      const second = await writeDataset(small(b));
      expect(await readFile(first.file)).toEqual(await readFile(second.file));
      const image = 'other_all_image/around/train_000002/1.png';
      expect(await readFile(path.join(a, image))).toEqual(await readFile(path.join(b, image)));
      const held = await writeDataset(small(a, { split: 'tinybench' }));
      expect(path.basename(held.file)).toBe('MindCube_tinybench.jsonl');
      const rooms = await readdir(path.join(a, 'other_all_image/around'));
      const scenes = rooms.map((room) =>
        readFileSync(path.join(a, 'other_all_image/around', room, 'scene.json'), 'utf8'),
      );
      expect(new Set(scenes).size).toBe(2);
    }));

  it('counts letters and categories, and keeps the letters even', () =>
    withTemporaryFolder(async (folder) => {
      const { letters, questions } = await writeDataset(
        small(folder, { scenes: 4, questionsPerScene: 12, categories: { 'view-side': 1 } }),
      );
      expect(Object.values(letters).reduce((sum, count) => sum + count, 0)).toBe(questions);
      expect(Math.abs(letters['A']! - letters['B']!)).toBeLessThanOrEqual(1);
    }));

  it('stops at an aborted signal without a question file', () =>
    withTemporaryFolder(async (folder) => {
      const controller = new AbortController();
      const onProgress = (): void => controller.abort(new Error('enough'));
      await expect(
        writeDataset(small(folder, { signal: controller.signal, onProgress })),
      ).rejects.toThrow('enough');
      expect(existsSync(path.join(folder, 'raw', 'MindCube_train.jsonl'))).toBe(false);
    }));

  it.each([
    { scenes: 0 },
    { scenes: 1.5 },
    { split: 'Train' },
    { split: 'around2' },
    { split: '../x' },
    { width: 4 },
    { motions: [] },
    { motions: ['linear'] },
    { questionsPerScene: -1 },
    { maxImages: 1 },
    { categories: { nothing: 1 } },
    { objects: 40 },
  ])('refuses %j', (wrong) =>
    withTemporaryFolder(async (folder) => {
      await expect(writeDataset(small(folder, wrong as Partial<DatasetOptions>))).rejects.toThrow(
        expect.objectContaining({ code: 'CONFIG_INVALID' }),
      );
    }),
  );
});

const withOfficialRows = existsSync(official) ? describe : describe.skip;
if (!existsSync(official)) console.warn(`no published MindCube rows at ${official}: not compared`);

withOfficialRows('beside the published rows', () => {
  it('has the same fields in the same order, with values of the same types', () =>
    withTemporaryFolder(async (folder) => {
      const published = await readRows(official);
      const own = await readRows((await writeDataset(small(folder))).file);
      expect(Object.keys(own[0]!)).toEqual(Object.keys(published[0]!));
      const inline = /^(.*?[?.:]) (A\. .+)$/s;
      for (const row of [...published, ...own]) {
        expect(row.gt_answer).toMatch(/^[A-D]$/);
        expect(row.question).toMatch(inline);
        expect(row.images.every((image) => image.startsWith('other_all_image/'))).toBe(true);
      }
    }));
});
