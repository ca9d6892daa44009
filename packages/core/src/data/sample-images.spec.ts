import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { SpatialError } from '../errors.js';
import { writePng } from '../images/index.js';
import { readSampleImages } from './sample-images.js';

const root = mkdtempSync(join(tmpdir(), 'sample-images-'));
afterAll(() => rmSync(root, { recursive: true }));
const at = (name: string) => join(root, name);

beforeAll(async () => {
  const write = (name: string, width: number, height: number) =>
    writePng(at(name), new Uint8Array(3 * width * height), { width, height, channels: 3 });
  await write('good.png', 8, 6);
  await write('strip.png', 900, 3);
  writeFileSync(at('notes.png'), 'notes');
});

/** Takes no image that is wider than 100 pixels. */
const backbone = {
  requireImageSize: ({ width }: { readonly width: number }) => {
    if (width <= 100) return;
    throw new SpatialError({
      code: 'IMAGE_INVALID',
      message: `too wide: ${width}`,
      hint: 'cut it',
    });
  },
};

const samples = [
  { id: 'a', images: [at('good.png')] },
  { id: 'b', images: [at('good.png'), at('strip.png')] },
  { id: 'c', images: [at('strip.png'), at('notes.png'), at('gone.png')] },
];
const nameOf = (index: number) => `data.jsonl: sample '${samples[index]!.id}'`;

describe('readSampleImages', () => {
  it('refuses what the backbone refuses, naming file, sample and image', async () => {
    const read = readSampleImages({ samples, nameOf, backbone });
    await expect(read).rejects.toMatchObject({
      code: 'IMAGE_INVALID',
      message: `data.jsonl: sample 'b': ${at('strip.png')}: too wide: 900`,
      hint: 'cut it',
    });
  });

  it('looks at images inside other files, which it calls by their names', async () => {
    const inTable = (row: number, bytes: Uint8Array) => ({
      images: [{ name: `table.tsv:${row}`, source: async () => bytes }],
    });
    const rows = [inTable(2, readFileSync(at('good.png'))), inTable(3, Buffer.from('notes'))];
    const problems: string[] = [];
    const headers = await readSampleImages({
      samples: rows,
      nameOf: (index) => `question ${index + 1}`,
      onProblem: ({ message }) => problems.push(message),
    });
    expect(headers.get('table.tsv:2')).toMatchObject({ width: 8, height: 6 });
    expect(problems).toEqual([
      expect.stringMatching(/^question 2: table\.tsv:3: expected an image/),
    ]);
  });

  it('tells every problem once, in the order of the samples', async () => {
    const problems: string[] = [];
    const onProblem = ({ message }: SpatialError) => problems.push(message);
    const headers = await readSampleImages({ samples, nameOf, backbone, onProblem });
    expect(problems).toEqual([
      expect.stringContaining("sample 'b'"),
      expect.stringMatching(/sample 'c': .*notes\.png: expected an image, found a text file/),
      expect.stringMatching(/sample 'c': .*gone\.png/),
    ]);
    expect([...headers.keys()].sort()).toEqual([at('good.png'), at('strip.png')]);
  });

  it('takes every size where no backbone says otherwise', async () => {
    const headers = await readSampleImages({ samples: samples.slice(0, 2), nameOf });
    expect(headers.get(at('strip.png'))).toMatchObject({ width: 900, height: 3 });
  });

  it('ends when it is stopped', async () => {
    const read = readSampleImages({ samples, nameOf, signal: AbortSignal.abort() });
    await expect(read).rejects.toMatchObject({ name: 'AbortError' });
  });
});
