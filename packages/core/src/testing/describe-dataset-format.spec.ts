import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { mindCubeFormat } from '../data/mindcube.js';
import { mmbenchFormat } from '../data/mmbench.js';
import { plainFormat } from '../data/plain.js';
import type { DatasetFormatV1, SampleV1 } from '../spec.js';
import { type DatasetFormatConformance, describeDatasetFormat } from './describe-dataset-format.js';
import type { TestRunner } from './test-runner.js';

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(path.join(tmpdir(), 'dataset-format-'));
});
afterAll(() => rm(folder, { recursive: true }));

const PLAIN = { id: 'a', images: ['x.png'], question: 'Where?', answer: 'left' };

/** A file with two rows, and one with the second row cut short. */
const write = async (format: DatasetFormatV1, row: object): Promise<DatasetFormatConformance> => {
  const text = JSON.stringify(row);
  const [file, brokenFile] = ['whole', 'broken'].map((name) =>
    path.join(folder, `${format.id}-${name}.jsonl`),
  ) as [string, string];
  await writeFile(file, `${text}\n${text}\n`);
  await writeFile(brokenFile, `${text}\n${text.slice(0, -1)}\n`);
  return { format, file, broken: { file: brokenFile, line: 2 } };
};

/** Runs the suite and gives the names of the cases that fail. */
const failuresOf = async (change: Partial<DatasetFormatV1>): Promise<string[]> => {
  const cases: [string, () => Promise<void>][] = [];
  const runner: TestRunner = {
    describe: (_name, body) => body(),
    it: (name, body) => cases.push([name, body]),
    afterAll: () => undefined,
  };
  describeDatasetFormat(() => write({ ...plainFormat, ...change }, PLAIN), { runner });
  const failures: string[] = [];
  for (const [name, body] of cases) await body().catch(() => failures.push(name));
  return failures;
};

/** The plain format, of which each sample is changed. */
const changed = (change: Partial<SampleV1>): Partial<DatasetFormatV1> => ({
  async *read(file, options) {
    for await (const sample of plainFormat.read(file, options)) yield { ...sample, ...change };
  },
});

describe('describeDatasetFormat', () => {
  describe('of core', () => {
    describeDatasetFormat(() => write(plainFormat, PLAIN));
    describeDatasetFormat(() =>
      write(mindCubeFormat, {
        ...PLAIN,
        question: 'Where? A. left B. right',
        gt_answer: 'B',
      }),
    );
    describeDatasetFormat(() =>
      write(mmbenchFormat, {
        index: 1,
        image: 'x.png',
        question: 'Where?',
        options: { A: 'left', B: 'right' },
        answer: 'A',
      }),
    );
  });

  it.each<[string, string, Partial<DatasetFormatV1>]>([
    ['a wrong id', 'says what it is', { id: 'My Format' }],
    ['no id', 'gives samples with absolute image paths', changed({ id: '' })],
    ['relative images', 'gives samples with absolute image paths', changed({ images: ['x.png'] })],
    [
      'a letter without its option',
      'gives samples with absolute image paths',
      changed({ answerLetter: 'C' }),
    ],
    [
      'images elsewhere',
      'takes image paths from the image root',
      changed({ images: ['/elsewhere/x.png'] }),
    ],
    [
      'no eye for its file',
      'knows its own file, and throws at none',
      { detect: async () => false },
    ],
    [
      'no ear for settings',
      'refuses prompts and settings that it does not know',
      { read: (file, { imageRoot } = {}) => plainFormat.read(file, { imageRoot }) },
    ],
  ])('finds %s', async (_fault, name, change) => {
    expect(await failuresOf(change)).toContain(name);
  });

  it('finds nothing wrong with a right one', async () => {
    expect(await failuresOf({})).toEqual([]);
  });
});
