import { existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { homedir, tmpdir } from 'node:os';
import { dirname, join, resolve } from 'node:path';
import { builtInContributions, builtInPlugin } from '../built-in.js';
import { SpatialError } from '../errors.js';
import { createRegistry } from '../plugins/index.js';
import type { DatasetFormatV1, SampleV1 } from '../spec.js';
import { readDataset } from './dataset.js';

const SHARED = resolve(__dirname, '../../../../../shared/data/benchmarks');
const MINDCUBE_ROWS = join(SHARED, 'mindcube/tinybench_rows_official_keys.jsonl');
const MMBENCH_ROWS = join(SHARED, 'mmbench/samples_en.jsonl');

/** `it` where the file is there; skipped with a message otherwise. */
function itWith(path: string): jest.It {
  if (existsSync(path)) return it;
  console.warn(`skipped, missing: ${path}`);
  return it.skip;
}

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'dataset-'));
});
afterEach(() => rmSync(folder, { recursive: true }));

function write(name: string, content: string): string {
  const path = join(folder, name);
  mkdirSync(dirname(path), { recursive: true });
  writeFileSync(path, content);
  return path;
}

async function failure(promise: Promise<unknown>): Promise<SpatialError> {
  const error = await promise.then(
    () => undefined,
    (caught: unknown) => caught,
  );
  if (!SpatialError.isInstance(error)) throw new Error(`expected a SpatialError, got ${error}`);
  return error;
}

describe('readDataset, jsonl', () => {
  it('reads text samples, bare letters and samples without text', async () => {
    write('a.png', '');
    const path = write(
      'data.jsonl',
      [
        '{"id":"1","images":["a.png"],"question":"Left?","options":{"A":"yes","B":"no"},"answer":"B","category":"x"}',
        '',
        '{"id":"2","images":["a.png"]}',
        '{"id":"3","images":["a.png"],"question":"What?","answer":"a chair"}',
        '{"id":"4","images":["a.png"],"question":"?","options":{"A":"x"},"answer":"A","target":"so A."}',
      ].join('\n'),
    );
    const samples = await readDataset({ format: 'jsonl', path });
    expect(samples).toEqual([
      {
        id: '1',
        images: [join(folder, 'a.png')],
        question: 'Left?',
        options: { A: 'yes', B: 'no' },
        answer: 'B. no',
        answerLetter: 'B',
        category: 'x',
      },
      { id: '2', images: [join(folder, 'a.png')] },
      { id: '3', images: [join(folder, 'a.png')], question: 'What?', answer: 'a chair' },
      {
        id: '4',
        images: [join(folder, 'a.png')],
        question: '?',
        options: { A: 'x' },
        answer: 'so A.',
        answerLetter: 'A',
      },
    ]);
    expect(await readDataset({ format: 'jsonl', path, limit: 1 })).toHaveLength(1);
  });

  it('names file and line of a line that is not JSON', async () => {
    write('a.png', '');
    const path = write('data.jsonl', '{"id":"1","images":["a.png"]}\n{"id":\n');
    const error = await failure(readDataset({ format: 'jsonl', path }));
    expect(error.code).toBe('DATA_INVALID');
    expect(error.message).toContain(`${path}:2`);
  });

  it('names sample and file of a missing image', async () => {
    const path = write('data.jsonl', '{"id":"s7","images":["gone.png"]}');
    const error = await failure(readDataset({ format: 'jsonl', path }));
    expect(error.code).toBe('FILE_MISSING');
    expect(error.message).toContain('s7');
    expect(error.message).toContain(join(folder, 'gone.png'));
  });

  it.each(['../other/x.png', '/etc/hostname', 'a/../../x.png'])(
    'refuses an image outside of the image root: %s',
    async (image) => {
      write('other/x.png', '');
      const path = write('rows/data.jsonl', JSON.stringify({ id: '1', images: ['a.png', image] }));
      write('rows/a.png', '');
      const error = await failure(readDataset({ format: 'jsonl', path }));
      expect(error).toMatchObject({ code: 'DATA_INVALID', hint: /imageRoot/ });
      expect(error.message).toContain(`${path}:1: expected images below ${dirname(path)}`);
    },
  );

  it('takes images from wherever the root that is named lies', async () => {
    const image = write('other/x.png', '');
    const path = write('rows/data.jsonl', JSON.stringify({ id: '1', images: [image] }));
    const [sample] = await readDataset({ path, imageRoot: folder });
    expect(sample!.images).toEqual([image]);
  });

  it.each([
    ['separators of Windows', 'one\\two\\a.png', 'one/two/a.png'],
    ['spaces and commas', 'my room, 2/a b.png', 'my room, 2/a b.png'],
    ['composed accents', 'cafe\u0301/a.png', 'caf\u00e9/a.png'],
    ['decomposed accents', 'caf\u00e9/a.png', 'cafe\u0301/a.png'],
    ['other scripts', '部屋/🙂.png', '部屋/🙂.png'],
  ])('finds images with %s in their path', async (_, named, there) => {
    const image = write(there, '');
    const path = write('rows/data.jsonl', JSON.stringify({ id: '1', images: [named] }));
    expect((await readDataset({ path }))[0]!.images).toEqual([image]);
  });

  it('begins a path with ~ in the home folder', async () => {
    const path = write('data.jsonl', '{"id":"1","images":["~/no-such-image.png"]}');
    const read = readDataset({ path, imageRoot: homedir() });
    const image = join(homedir(), 'no-such-image.png');
    expect((await failure(read)).message).toContain(`image ${image} does not exist`);
  });

  it.each([
    '<image>',
    '<video>',
    '<|image_pad|>',
    '<image_1>',
    '<image 2>',
    '<IMG_CONTEXT>',
    '<|image_1|>',
  ])('refuses the placeholder %s in a text', async (placeholder) => {
    write('a.png', '');
    const row = { id: 'q', images: ['a.png'], question: `${placeholder} Where?`, answer: 'x' };
    const path = write('data.jsonl', JSON.stringify(row));
    const error = await failure(readDataset({ format: 'jsonl', path }));
    expect(error.code).toBe('DATA_INVALID');
    expect(error.message).toContain(
      `sample 'q': question: expected plain text, found the placeholder ${placeholder}`,
    );
  });

  it('lets texts with other angle brackets pass', async () => {
    write('a.png', '');
    const question = 'Is a <b> 3 < 4 tag, <imagery> or <img src="x">?';
    const path = write(
      'data.jsonl',
      JSON.stringify({ id: 'q', images: ['a.png'], question, answer: 'x' }),
    );
    expect((await readDataset({ path }))[0]!.question).toBe(question);
  });

  it('tells every problem where somebody listens, and keeps the other rows', async () => {
    write('a.png', '');
    const rows = [
      { id: '1', images: ['a.png'] },
      { id: 2, images: ['a.png'] },
      { id: '3', images: ['gone.png'] },
      { id: '4', images: ['a.png'], question: '<image>' },
      { id: '5', images: ['../a.png'] },
      { id: '6', images: ['a.png'] },
    ].map((row) => JSON.stringify(row));
    const path = write('data.jsonl', [...rows, '{'].join('\n'));
    const problems: SpatialError[] = [];
    const onProblem = (problem: SpatialError) => problems.push(problem);
    const samples = await readDataset({ path, onProblem });
    expect(samples.map(({ id }) => id)).toEqual(['1', '6']);
    expect(problems.map(({ message }) => message.slice(path.length, path.length + 12))).toEqual([
      expect.stringContaining(':2: '),
      expect.stringContaining("sample '3'"),
      expect.stringContaining("sample '4'"),
      expect.stringContaining(':5: '),
      expect.stringContaining(':7: '),
    ]);
  });

  it('refuses a wrong field, an answer without option and a missing file', async () => {
    const wrong = write('a.jsonl', '{"id":1,"images":["a.png"]}');
    expect((await failure(readDataset({ format: 'jsonl', path: wrong }))).code).toBe(
      'DATA_INVALID',
    );
    const answer = write(
      'b.jsonl',
      '{"id":"1","images":["a.png"],"question":"?","options":{"A":"x"},"answer":"C"}',
    );
    expect((await failure(readDataset({ format: 'jsonl', path: answer }))).message).toContain(':1');
    const missing = readDataset({ format: 'jsonl', path: join(folder, 'no.jsonl') });
    expect((await failure(missing)).code).toBe('FILE_MISSING');
  });
});

describe('readDataset, mindcube', () => {
  it('makes the official prompt and target and finds the image root above the file', async () => {
    write('data/other_all_image/rotation/g/1.jpg', '');
    const question = 'If I turn around, what is behind me? A. TV B. Light sofa C. Brown table';
    const row = {
      id: 'rotation_group051_q1_2',
      images: ['other_all_image/rotation/g/1.jpg'],
      question,
      gt_answer: 'B',
    };
    const path = write('data/raw/MindCube_train.jsonl', JSON.stringify(row));
    const [sample] = await readDataset({ format: 'mindcube', path });
    expect(sample!.images).toEqual([join(folder, 'data/other_all_image/rotation/g/1.jpg')]);
    expect(sample!.answer).toBe('<answer>B. Light sofa</answer>');
    expect(sample!.question!.endsWith(`\n\n[Question]\n${question}`)).toBe(true);
    expect(sample!.question!.startsWith('[Task]\nYour task is')).toBe(true);
    expect(sample!.category).toBe('rotation');
  });

  it('refuses a letter that the question does not offer', async () => {
    const row = { id: 'a', images: ['x'], question: 'Where? A. left B. right', gt_answer: 'D' };
    const path = write('x.jsonl', JSON.stringify(row));
    expect((await failure(readDataset({ format: 'mindcube', path }))).code).toBe('DATA_INVALID');
  });

  itWith(MINDCUBE_ROWS)('reads the real rows, whose images are not at hand', async () => {
    const path = MINDCUBE_ROWS;
    const error = await failure(readDataset({ format: 'mindcube', path }));
    expect(error.code).toBe('FILE_MISSING');
    expect(error.message).toContain('other_all_image');
  });
});

describe('readDataset, mmbench', () => {
  itWith(MMBENCH_ROWS)('reads the real rows with their images', async () => {
    const path = MMBENCH_ROWS;
    const samples = await readDataset({ format: 'mmbench', path });
    expect(samples).toHaveLength(19);
    expect(samples[1]!.question).toBe(
      'Question: Which one is the correct caption of this image?\nOptions:\nA. A man rides a surfboard on a large wave.\n' +
        'B. a young boy barefoot holding an umbrella touching the horn of a cow\nC. A giraffe standing by a stall in a field.\n' +
        'D. A stop sign that has been vandalized with graffiti.\nPlease select the correct answer from the options above. \n',
    );
    expect(samples[2]!.answer).toBe('B. Solution B');
  });
});

describe('readDataset, formats', () => {
  const row = { id: 'a', images: ['x.png'] };

  it.each([
    ['jsonl', { ...row, question: 'Where?', answer: 'left' }],
    ['mindcube', { ...row, question: 'Where? A. left B. right', gt_answer: 'A' }],
    ['mmbench', { index: 1, image: 'x.png', question: '?', options: { A: 'x' }, answer: 'A' }],
  ])('finds out that a file is %s', async (format, first) => {
    const path = write('data.jsonl', JSON.stringify(first));
    const found = await readDataset({ path, checkImages: false });
    expect(found).toEqual(await readDataset({ path, format, checkImages: false }));
  });

  it('names the line of a file that no format knows', async () => {
    const path = write('data.jsonl', '{"some":"thing"}');
    expect((await failure(readDataset({ path }))).message).toContain(`${path}:1`);
  });

  it('names the data set, the known formats and the nearest for an unknown one', async () => {
    const path = write('data.jsonl', JSON.stringify(row));
    const error = await failure(readDataset({ path, format: 'mindcub' }));
    expect(error).toMatchObject({ code: 'PLUGIN_UNKNOWN' });
    expect(error.message).toMatch(/data\.jsonl: .*jsonl, messages, mindcube, mmbench/);
    expect(error.hint).toContain('"mindcube"');
  });

  it('refuses prompts and settings that a format does not know', async () => {
    const path = write('data.jsonl', JSON.stringify(row));
    const prompt = await failure(readDataset({ path, format: 'mindcube', prompt: 'plan' }));
    expect(prompt.code).toBe('CONFIG_INVALID');
    expect(prompt.hint).toContain('"plain"');
    for (const options of [{ prompt: 'plain' }, { settings: { depth: 1 } }]) {
      const error = await failure(readDataset({ path, format: 'jsonl', ...options }));
      expect(error.code).toBe('CONFIG_INVALID');
    }
  });

  const registryWith = (...formats: readonly DatasetFormatV1[]) =>
    createRegistry({
      loaded: [
        { name: 'core', contributions: builtInPlugin.contributions() },
        { name: 'other', contributions: formats },
      ],
      rejected: [],
    });
  const formatOf = (id: string, sample: object): DatasetFormatV1 => ({
    specificationVersion: 'v1',
    kind: 'dataset-format',
    id,
    detect: async (file) => file.endsWith('.tsv'),
    async *read(file, { settings } = {}) {
      yield { id: '', images: [`${file}.png`], ...settings, ...sample } satisfies SampleV1;
    },
  });

  it('reads a format of a plugin, with its settings', async () => {
    const path = write('data.tsv', '');
    const registry = registryWith(formatOf('tsv', { id: '1' }));
    const request = { path, settings: { category: 'x' }, checkImages: false };
    const sample = { id: '1', images: [`${path}.png`], category: 'x' };
    expect(await readDataset(request, registry)).toEqual([sample]);
    expect(await readDataset({ ...request, format: 'tsv' }, registry)).toEqual([sample]);
    expect(builtInContributions().ids('dataset-format')).toEqual([
      ...['conversations', 'instruction', 'jsonl', 'messages', 'mindcube', 'mmbench'],
    ]);
  });

  it('does not choose between two formats', async () => {
    const path = write('data.tsv', '');
    const registry = registryWith(formatOf('one', { id: '1' }), formatOf('two', { id: '1' }));
    const error = await failure(readDataset({ path }, registry));
    expect(error.message).toContain('one, two');
  });

  it.each([{ id: '' }, { id: '1', images: ['relative.png'] }])(
    'refuses a sample of a plugin that is none: %j',
    async (sample) => {
      const path = write('data.tsv', '');
      const error = await failure(readDataset({ path }, registryWith(formatOf('tsv', sample))));
      expect(error.code).toBe('PLUGIN_INVALID');
      expect(error.message).toContain('tsv');
    },
  );
});
