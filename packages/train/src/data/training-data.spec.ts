import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { trainConfigSchema } from '../config/schema.js';
import { readToySamples } from '../testing/toy-step.js';
import { NumberList } from './number-list.js';
import { RepeatedIds } from './repeated-ids.js';
import { RowStore } from './row-store.js';
import { TrainingData } from './training-data.js';

let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'training-data-'));
  writeFileSync(join(folder, 'x.png'), '');
  for (const name of ['a', 'b'])
    writeFileSync(
      join(folder, `${name}.jsonl`),
      Array.from(
        { length: 6 },
        (_, i) => `{"id":"${i % 4}${i}","images":["x.png"],"question":"${name}","answer":"x"}\n`,
      ).join(''),
    );
});
afterAll(() => rmSync(folder, { recursive: true }));

const configOf = (...data: object[]) =>
  trainConfigSchema.parse({
    model: 'none',
    out: 'none',
    data: data.map((set) => ({ path: join(folder, 'a.jsonl'), ...set })),
  });

describe('RowStore', () => {
  it('gives rows back from memory and from the disk, in any order', async () => {
    const store = new RowStore<{ readonly text: string }>();
    // Blocks of a mebibyte: rows within one, over its end, longer than it, and the last in memory.
    const lengths = [10, 700_000, 400_000, 3_000_000, 0, 500_000, 20];
    const rows = lengths.map((length, i) => ({ text: `${i}é`.repeat(length / 3) }));
    for (const row of rows) await store.push(row);
    expect(store.length).toBe(rows.length);
    for (const index of [0, 1, 2, 3, 4, 5, 6, 2, 0, 6, 3])
      expect((await store.at(index)).text === rows[index]!.text).toBe(true);
    await store.close();
  });
});

describe('NumberList', () => {
  it('keeps numbers above 2³² beyond its first size', () => {
    const list = new NumberList();
    for (let i = 0; i < 3000; i++) list.push(2 ** 40 + i);
    expect(list.length).toBe(3000);
    expect([list.at(0), list.at(2999)]).toEqual([2 ** 40, 2 ** 40 + 2999]);
    expect(list.toArray()).toHaveLength(3000);
  });
});

describe('RepeatedIds', () => {
  it('knows the ids that came twice or more often', () => {
    const ids = new RepeatedIds();
    for (const id of ['a', 'b', 'c', 'b', 'd', 'c', 'c']) ids.add(id);
    expect(['a', 'b', 'c', 'd', 'e'].map((id) => ids.has(id))).toEqual([
      ...[false, true, true, false, false],
    ]);
  });
});

describe('TrainingData', () => {
  it('numbers samples one set after the other, a part by its place in the file', async () => {
    const data = await TrainingData.read(
      configOf({ part: [0, 0.5] }, { path: join(folder, 'b.jsonl'), text: false }, { limit: 2 }),
    );
    expect(data.count).toBe(11);
    expect(data.sets.map(({ count }) => count)).toEqual([3, 6, 2]);
    const first = await data.at(0);
    expect(first).toMatchObject({ question: 'a', answer: 'x' });
    const b = await data.at(3);
    expect(b).not.toHaveProperty('question');
    // Ids stand in both files: messages say where.
    expect(b.name).toBe(`00 (sample 1 of ${join(folder, 'b.jsonl')})`);
    expect((await data.at(10)).place).toContain("sample '11 (sample 2 of");
    await data.close();
  });

  it('draws a part from the whole file, each sample once', async () => {
    const [first, second] = [
      await readToySamples(configOf({ part: [0, 0.5] })),
      await readToySamples(configOf({ part: [0.5, 1] })),
    ];
    const ids = [...first, ...second].map(({ id }) => id);
    expect(ids.toSorted()).toEqual(['00', '04', '11', '15', '22', '33'].toSorted());
    expect(first.map(({ name }) => name)).toEqual(first.map(({ id }) => id));
  });
});
