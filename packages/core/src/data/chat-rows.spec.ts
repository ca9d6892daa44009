import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { SpatialError } from '../errors.js';
import type { SampleV1 } from '../spec.js';
import { describeDatasetFormat } from '../testing/describe-dataset-format.js';
import { conversationsFormat, instructionFormat, messagesFormat } from './chat-rows.js';
import { findDatasetFormat, readDataset } from './dataset.js';

const root = mkdtempSync(join(tmpdir(), 'chat-rows-'));
afterAll(() => rmSync(root, { recursive: true }));
for (const name of ['a.png', 'b.png']) writeFileSync(join(root, name), '');

function write(name: string, rows: readonly object[]): string {
  const file = join(root, name);
  writeFileSync(file, JSON.stringify(rows));
  return file;
}

const read = (
  rows: readonly object[],
  settings?: Readonly<Record<string, unknown>>,
): Promise<readonly SampleV1[]> =>
  readDataset({ path: write('rows.json', rows), ...(settings !== undefined && { settings }) });

async function message(rows: readonly object[]): Promise<string> {
  const error = await read(rows).then(
    () => undefined,
    (caught: SpatialError) => caught,
  );
  expect(error).toMatchObject({ code: 'DATA_INVALID', hint: /\S/ });
  return error!.message;
}

const turns = (question: string, answer = 'Left.') => [
  { from: 'human', value: question },
  { from: 'gpt', value: answer },
];

const GOLDEN = JSON.parse(
  readFileSync(join(__dirname, '__golden__/toolkit-rows/case.json'), 'utf8'),
) as {
  readonly rows: Readonly<Record<string, readonly object[]>>;
  readonly read: Readonly<Record<string, Readonly<Record<string, readonly Row[]>>>>;
};
interface Row {
  readonly system: string;
  readonly question: string;
  readonly answer: string;
  readonly images: readonly string[];
}

describe('rows of other toolkits', () => {
  const cases = Object.entries(GOLDEN.read).flatMap(([toolkit, kinds]) =>
    Object.entries(kinds).map(([kind, expected]) => ({ toolkit, kind, expected })),
  );

  it.each(cases)('are read as $toolkit reads them: $kind', async ({ kind, expected }) => {
    const samples = await read(GOLDEN.rows[kind]!);
    expect(
      samples.map(({ system = '', question, answer, images }) => ({
        ...{ system, answer },
        question: '<image>'.repeat(images.length) + question,
        images: images.map((image) => image.slice(root.length + 1)),
      })),
    ).toEqual(expected);
  });

  it('of LLaVA have a single image in front, wherever it was put', async () => {
    const placed = ['<image>\nWhere?', 'Where?\n<image>', 'Where?'];
    const samples = await read(
      placed.map((question, id) => ({ id, image: 'a.png', conversations: turns(question) })),
    );
    expect(samples.map(({ id, question }) => [id, question])).toEqual([
      ['0', 'Where?'],
      ['1', 'Where?'],
      ['2', 'Where?'],
    ]);
  });

  it('with parts as content give images and text', async () => {
    const content = [
      { type: 'image', image: 'file://a.png' },
      { type: 'image_url', image_url: { url: 'b.png' } },
      { type: 'text', text: 'Same room?' },
    ];
    const [sample] = await read([{ messages: [{ role: 'user', content }] }]);
    expect(sample).toEqual({
      id: 'line-1',
      images: [join(root, 'a.png'), join(root, 'b.png')],
      question: 'Same room?',
    });
  });

  it.each([
    ['conversations', { id: 1, images: ['a.png'], conversations: turns('<image>?') }],
    ['messages', { id: 1, images: ['a.png'], messages: [{ role: 'user', content: '?' }] }],
    ['instruction', { id: 1, images: ['a.png'], instruction: '?', output: '.' }],
    ['instruction', { images: ['a.png'], query: '?', response: '.' }],
  ])('are known as %s', async (format, row) => {
    expect(await findDatasetFormat({ path: write('one.json', [row]) })).toBe(format);
  });

  it('hold one question, or say how to choose', async () => {
    const row = {
      id: 'x',
      image: 'a.png',
      conversations: [...turns('<image>\nWhere?'), ...turns('And now?', 'Right.')],
    };
    expect(await message([row])).toMatch(/rows\.json:1: expected one question .* of 2/);
    expect(await read([row], { turns: 'first' })).toMatchObject([{ id: 'x', answer: 'Left.' }]);
    expect(await read([row], { turns: 'each' })).toMatchObject([
      { id: 'x#1', question: 'Where?', answer: 'Left.' },
      { id: 'x#2', question: 'And now?', answer: 'Right.' },
    ]);
    await expect(read([row], { turns: 'all' })).rejects.toMatchObject({ code: 'CONFIG_INVALID' });
  });

  it.each<[string, object, RegExp]>([
    [
      'images within the text',
      { images: ['a.png', 'b.png'], conversations: turns('<image> x <image>') },
      /within it/,
    ],
    [
      'too many placeholders',
      { image: 'a.png', conversations: turns('<image><image>?') },
      /expected 1 <image>, found 2/,
    ],
    [
      'other media',
      { image: 'a.png', video: 'v.mp4', conversations: turns('?') },
      /'video': expected images alone/,
    ],
    [
      'a placeholder of a video',
      { image: 'a.png', conversations: turns('<video>?') },
      /placeholder <video>/,
    ],
    [
      'an address',
      { image: 'https://x.org/a.png', conversations: turns('?') },
      /nothing is downloaded/,
    ],
    ['no image', { id: 1, conversations: turns('?') }, /'images': expected at least one image/],
    [
      'an unknown role',
      { image: 'a.png', conversations: [{ from: 'tool', value: '' }] },
      /conversations\[0\]\.from/,
    ],
    [
      'two questions at once',
      { image: 'a.png', conversations: [turns('?')[0], turns('?')[0]] },
      /turn 2.*assistant/,
    ],
  ])('are refused with %s', async (_, row, expected) => {
    expect(await message([row])).toMatch(expected);
  });
});

describe('the formats', () => {
  const folder = join(root, 'formats');
  mkdirSync(folder);
  const images = ['x.png'];
  for (const [format, row] of [
    [conversationsFormat, { id: 'a', images, conversations: turns('?') }],
    [messagesFormat, { id: 'a', images, messages: [{ role: 'user', content: '?' }] }],
    [instructionFormat, { id: 'a', images, instruction: '?', output: '.' }],
  ] as const) {
    describeDatasetFormat(async () => {
      const text = JSON.stringify(row);
      const [file, broken] = ['whole', 'broken'].map((name) =>
        join(folder, `${format.id}-${name}.jsonl`),
      ) as [string, string];
      writeFileSync(file, `${text}\n${text}\n`);
      writeFileSync(broken, `${text}\n${text.slice(0, -1)}\n`);
      return { format, file, broken: { file: broken, line: 2 } };
    });
  }
});
