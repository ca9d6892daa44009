import { copyFileSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { SpatialError } from '../errors.js';
import { readDelimited } from './delimited.js';
import { MediaFinder } from './media.js';
import { readParquet } from './parquet.js';
import { type TableRow, textOf, textsOf } from './table-row.js';

const GOLDEN = join(__dirname, '__golden__');
const folder = mkdtempSync(join(tmpdir(), 'spatialsv-tables-'));
afterAll(() => rmSync(folder, { recursive: true }));

async function all<Value>(values: AsyncIterable<Value>): Promise<Value[]> {
  const found: Value[] = [];
  for await (const value of values) found.push(value);
  return found;
}

function written(name: string, content: string | Uint8Array): string {
  const file = join(folder, name);
  writeFileSync(file, content);
  return file;
}

describe('tables of text', () => {
  it('hold quoted line breaks, tabs and doubled quotes', async () => {
    const text =
      '\ufeffindex\tquestion\tA\r\n1\t"two\nlines"\t"say ""cat"""\r\n2\tin "the" middle\t\r\n';
    const rows = await all(readDelimited(written('a.tsv', text), '\t'));
    expect(rows.map(({ value }) => value)).toEqual([
      { index: '1', question: 'two\nlines', A: 'say "cat"' },
      { index: '2', question: 'in "the" middle', A: '' },
    ]);
    expect(rows[1]!.place).toBe(`${join(folder, 'a.tsv')}:4`);
  });

  it('report rows with too few cells by line, and go on', async () => {
    const file = written('b.csv', 'a,b\n1,2\n3\n4,5\n');
    const problems: SpatialError[] = [];
    const rows = await all(readDelimited(file, ',', (problem) => problems.push(problem)));
    expect(rows.map(({ value }) => value['a'])).toEqual(['1', '4']);
    expect(problems.map(({ message }) => message)).toEqual([
      `${file}:3: expected as many cells as there are column names`,
    ]);
    await expect(all(readDelimited(file, ','))).rejects.toMatchObject({ code: 'DATA_INVALID' });
  });

  it('report a quote without an end', async () => {
    const file = written('c.tsv', 'a\tb\n1\t"never\n2\t3\n');
    const problems: SpatialError[] = [];
    await all(readDelimited(file, '\t', (problem) => problems.push(problem))).catch((error) =>
      problems.push(error),
    );
    expect(problems).toHaveLength(1);
    expect(problems[0]!.message).toMatch(/c\.tsv:\d+: a quoted cell has no end/);
  });
});

describe('Parquet files', () => {
  it.each(['snappy', 'zstd', 'gzip', 'none'])(
    'compressed by %s hold texts, lists, numbers and bytes',
    async (codec) => {
      const rows = await all(readParquet(join(GOLDEN, `table-${codec}.parquet`)));
      expect(rows.map(({ value }) => value['id'])).toEqual([0, 1, 2, 3, 4]);
      expect(rows[3]!.value['question']).toBe('Was ist links von Nr. 3? ä€');
      expect(rows.map(({ value }) => value['options'])).toEqual([
        ['A. left', 'B. right'],
        null,
        [],
        ['A. x'],
        ['A. y'],
      ]);
      const { bytes, path } = rows[4]!.value['image'] as { bytes: Uint8Array; path: string };
      expect([path, [...bytes.slice(1, 4)]]).toEqual(['4.png', [80, 78, 71]]);
    },
  );

  it('that are cut are refused', async () => {
    const whole = readFileSync(join(GOLDEN, 'table-snappy.parquet'));
    for (const length of [0, 5, whole.length - 20]) {
      const file = written('cut.parquet', whole.subarray(0, length));
      await expect(all(readParquet(file))).rejects.toMatchObject({
        code: 'DATA_INVALID',
        message: `${file}: not a whole Parquet file`,
      });
    }
  });
});

describe('media', () => {
  const root = join(folder, 'benchmark');
  const problems: SpatialError[] = [];
  let media: MediaFinder;

  beforeAll(async () => {
    mkdirSync(join(root, 'data', 'scene'), { recursive: true });
    writeFileSync(join(root, 'data', 'scene', 'a.jpg'), 'x');
    for (const name of ['media.zip', 'one-top.zip'])
      copyFileSync(join(GOLDEN, name), join(root, name));
    media = await MediaFinder.open(root, { folders: ['.', 'data'] }, (problem) =>
      problems.push(problem),
    );
  });

  it('are found in folders, and in archives that stay packed', async () => {
    expect((await media.image('scene/a.jpg', 'row')).source).toBe(
      join(root, 'data', 'scene', 'a.jpg'),
    );
    for (const name of ['images/0.png', 'images/ä.png', 'scene/3.png', './images\\0.png']) {
      const { source } = await media.image(name, 'row');
      expect([...(await (source as () => Promise<Uint8Array>)()).slice(1, 4)]).toEqual([
        80, 78, 71,
      ]);
    }
  });

  it('whose archive has a path outside are reported', () => {
    expect(problems.map(({ message }) => message)).toEqual([
      `${join(root, 'media.zip')}: entry '../outside.png' leaves the archive`,
    ]);
  });

  it.each(['../../etc/passwd', '/etc/passwd', 'a/../../b'])('at %s are refused', async (name) => {
    await expect(media.image(name, 'rows.json:3')).rejects.toMatchObject({
      message: expect.stringContaining('rows.json:3: path'),
    });
  });

  it('that are missing are named with the row and where they were looked for', async () => {
    await expect(media.image('no.jpg', 'rows.json:3')).rejects.toMatchObject({
      code: 'DATA_INVALID',
      message: expect.stringMatching(
        /rows\.json:3: 'no\.jpg' is not there \(looked in .*benchmark.*media\.zip/,
      ),
    });
  });

  it('in a damaged archive are refused', async () => {
    const broken = join(folder, 'broken');
    mkdirSync(broken);
    writeFileSync(join(broken, 'x.zip'), readFileSync(join(GOLDEN, 'media.zip')).subarray(0, 100));
    await expect(MediaFinder.open(broken, {}, () => {})).rejects.toMatchObject({
      code: 'DATA_INVALID',
    });
  });
});

describe('columns', () => {
  const row: TableRow = {
    value: { a: 'x', n: 3, list: ['a'], empty: '' },
    line: 7,
    place: 'rows:7',
  };

  it('are texts or lists of texts', () => {
    expect([textOf(row, 'a'), textOf(row, 'n'), textsOf(row, 'list')]).toEqual(['x', '3', ['a']]);
    expect(() => textOf(row, 'empty')).toThrow(
      'rows:7: column \'empty\': expected a text, found ""',
    );
    expect(() => textsOf(row, 'a')).toThrow('expected a list of texts');
  });
});
