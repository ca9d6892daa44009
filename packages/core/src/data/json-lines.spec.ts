import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { SpatialError } from '../errors.js';
import { type JsonLine, readJsonLines } from './json-lines.js';

const root = mkdtempSync(join(tmpdir(), 'json-lines-'));
afterAll(() => rmSync(root, { recursive: true }));

function write(content: string | Uint8Array): string {
  const file = join(root, 'data.json');
  writeFileSync(file, content);
  return file;
}

async function read(content: string | Uint8Array): Promise<[number, unknown][]> {
  const rows: JsonLine[] = [];
  for await (const row of readJsonLines(write(content))) rows.push(row);
  return rows.map(({ line, value }) => [line, value]);
}

/** UTF-16 with its bytes in the other order. */
const bigEndian = (text: string): Buffer => Buffer.from(text, 'utf16le').swap16();

const TEXT = '{"id":"é"}\n\n{"id":"b"}\n';
const ROWS = [
  [1, { id: 'é' }],
  [3, { id: 'b' }],
];

describe('readJsonLines', () => {
  it.each<[string, string | Uint8Array]>([
    ['UTF-8', TEXT],
    ['UTF-8 with a byte order mark', `\ufeff${TEXT}`],
    ['UTF-16 with a byte order mark', Buffer.from(`\ufeff${TEXT}`, 'utf16le')],
    ['UTF-16 without one', Buffer.from(TEXT, 'utf16le')],
    ['big-endian UTF-16', bigEndian(`\ufeff${TEXT}`)],
    ['big-endian UTF-16 without a mark', bigEndian(TEXT)],
    ['line ends of Windows', TEXT.replaceAll('\n', '\r\n')],
    ['line ends of old Macintoshes', TEXT.replaceAll('\n', '\r')],
    ['no last line end', TEXT.trimEnd()],
  ])('reads %s', async (_, content) => {
    expect(await read(content)).toEqual(ROWS);
  });

  it('keeps U+2028 and U+2029 within a row, and the numbers of lines', async () => {
    const rows = ['a\u2028b\u2029c\u0085d', 'e'].map((id) => JSON.stringify({ id }));
    expect(await read(rows.join('\n'))).toEqual([
      [1, { id: 'a\u2028b\u2029c\u0085d' }],
      [2, { id: 'e' }],
    ]);
  });

  it.each<[string, string]>([
    ['a list on one line', '[{"id":1},{"id":[2,{"a":"]},{"}]}]'],
    ['a list over lines', ' \n[\n  {\n    "id": 1\n  },\n  {"id": [2, {"a": "]},{"}]}\n]\n'],
    ['escaped quotes', '[{"id":1},{"id":[2,{"a":"]},{"}]},{"q":"\\"]\\\\"}]'],
  ])('reads %s', async (name, content) => {
    const rows = await read(content);
    expect(rows.map(([, value]) => value)).toEqual(JSON.parse(content));
    if (name === 'a list over lines') expect(rows.map(([line]) => line)).toEqual([3, 6]);
  });

  it('reads a list and lines that are longer than what is read at a time', async () => {
    const rows = Array.from({ length: 3000 }, (_, id) => ({ id, text: 'ü"]'.repeat(40) }));
    const list = await read(JSON.stringify(rows, null, 1));
    expect(list.map(([, value]) => value)).toEqual(rows);
    expect(list.at(-1)![0]).toBe(4 * 2999 + 2);
    const lines = await read(rows.map((row) => JSON.stringify(row)).join('\r\n'));
    expect(lines.map(([line, value]) => [line, value])).toEqual(
      rows.map((row, index) => [index + 1, row]),
    );
  });

  it('takes NaN and Infinity of Python for null, outside of texts', async () => {
    expect(await read('{"a":NaN,"b":[-Infinity,"NaN, \\"Infinity"]}')).toEqual([
      [1, { a: null, b: [null, 'NaN, "Infinity'] }],
    ]);
  });

  it('reads nothing of an empty file', async () => {
    expect(await read('')).toEqual([]);
    expect(await read('\n \n')).toEqual([]);
    expect(await read('[]')).toEqual([]);
  });
});

describe('a row that cannot be read', () => {
  const message = async (content: string | Uint8Array): Promise<string> => {
    try {
      await read(content);
    } catch (error) {
      expect(error).toMatchObject({ code: 'DATA_INVALID', hint: /\S/ });
      return (error as SpatialError).message;
    }
    throw new Error('expected a failure');
  };

  it.each<[string, string | Uint8Array, RegExp]>([
    ['not JSON', '{"id":1}\n{"id":\n', /:2: not valid JSON at column 7 \(value expected\)/],
    ['not JSON in a list', '[{"id":1},\n{"id":\n x}]', /:3: not valid JSON at column 2/],
    ['no object', '"text"', /:1: expected a JSON object, found a string/],
    ['a list that is cut off', '[{"id":1},\n{"id":', /:2: expected the end of the list/],
    ['two lists', '[{"id":1}]\n[{"id":2}]', /:2: expected the end of the file/],
    [
      'another encoding',
      Buffer.from('{"id":1}\n{"id":"\xe9t\xe9"}', 'latin1'),
      /:2: expected UTF-8/,
    ],
    ['a ZIP archive', Buffer.from('PK\x03\x04secret'), /found a ZIP archive/],
    ['a Parquet file', Buffer.from('PAR1'), /found a Parquet file/],
    ['a Git LFS pointer', 'version https://git-lfs.github.com/spec/v1\noid', /a Git LFS pointer/],
    ['a web page', '<!DOCTYPE html><html>', /found a web page/],
    ['nested without end', '{"a":'.repeat(1e5), /:1: not valid JSON/],
    ['nested deeply', `{"a":${'['.repeat(1e5)}${']'.repeat(1e5)}}`, /64 levels of nesting/],
  ])('is told: %s', async (_, content, expected) => {
    expect(await message(content)).toMatch(expected);
  });

  it('is told without its content', async () => {
    for (const content of ['{"id": secret}', 'secret', '\0\x01\x02 secret'])
      expect(await message(content)).not.toContain('secret');
  });

  it('is passed over where somebody listens', async () => {
    const problems: SpatialError[] = [];
    const file = write('{"id":1}\n{"id":\n[]\n{"id":4}');
    const lines: number[] = [];
    for await (const { line } of readJsonLines(file, (problem) => problems.push(problem)))
      lines.push(line);
    expect(lines).toEqual([1, 4]);
    expect(problems.map(({ message: text }) => text.replace(file, ''))).toEqual([
      expect.stringMatching(/^:2: /),
      expect.stringMatching(/^:3: expected a JSON object, found a list/),
    ]);
  });
});
