import { appendFileSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { LOCK_FILE, lockFolder, type SampleV1 } from '@spatialsv/core';
import { type EvaluateOptions, evaluate } from './evaluate.js';
import { EVALUATION_FILE, type EvaluationIdentity, PREDICTIONS_FILE } from './evaluation-folder.js';

let root: string;
let image: string;
let out: string;
const asked: string[] = [];

beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), 'evaluate-'));
  image = join(root, 'a.png');
  out = join(root, 'out');
  writeFileSync(image, 'image');
  asked.length = 0;
});
afterEach(() => rmSync(root, { recursive: true }));

const question = (index: number, change: Partial<SampleV1> = {}): SampleV1 => ({
  id: `q${index}`,
  images: [image],
  question: `where ${index}`,
  options: { A: 'x', B: 'y' },
  answer: 'A',
  answerLetter: index === 1 ? 'B' : 'A',
  ...change,
});
const samples = () => [0, 1, 2].map((index) => question(index));

const IDENTITY: EvaluationIdentity = {
  weights: 'w1',
  prompt: 'p1',
  settings: { maxNewTokens: 3, minPixels: undefined },
  versions: { spatialsv: '1' },
};

const answer = async (sample: SampleV1) => {
  asked.push(sample.id);
  return sample.id === 'q2' ? '' : sample.answerLetter!;
};
const extract = (_sample: SampleV1, text: string) => (text === '' ? undefined : text);

const run = (
  given: readonly SampleV1[],
  identity: Partial<EvaluationIdentity> = {},
  rest: Partial<EvaluateOptions> & { readonly overwrite?: boolean } = {},
) => {
  const { overwrite = false, ...options } = rest;
  const folder = { path: out, identity: { ...IDENTITY, ...identity }, overwrite };
  return evaluate({ samples: given, answer, extract, folder, ...options });
};

const log = () =>
  readFileSync(join(out, PREDICTIONS_FILE), 'utf8')
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line));

describe('evaluate', () => {
  it('continues an interrupted log, cutting a half-written line', async () => {
    await run(samples().slice(0, 2));
    appendFileSync(join(out, PREDICTIONS_FILE), '{"id":"q2","ra');
    const predictions = await run(samples());
    expect(asked).toEqual(['q0', 'q1', 'q2']);
    expect(predictions.map((row) => row.extracted)).toEqual(['A', 'B', null]);
    expect(log().map(({ id }) => id)).toEqual(['q0', 'q1', 'q2']);
    expect(predictions).toEqual(await evaluate({ samples: samples(), answer, extract }));
  });

  it('asks again from a line on that the disk has lost', async () => {
    await run(samples());
    const file = join(out, PREDICTIONS_FILE);
    const [first, , third] = readFileSync(file, 'utf8').split('\n');
    writeFileSync(file, [first, '\0\0\0', third, ''].join('\n'));
    await run(samples());
    expect(asked).toEqual(['q0', 'q1', 'q2', 'q1', 'q2']);
    expect(log()).toHaveLength(3);
  });

  it('counts fewer of the questions, and goes on with more of them', async () => {
    await run(samples());
    expect(await run(samples().slice(0, 1))).toHaveLength(1);
    expect(await run(samples())).toHaveLength(3);
    expect(asked).toHaveLength(3);
  });

  it('refuses a sample without a question to score', async () => {
    const unlabelled = [{ id: 'x', images: [] }];
    await expect(
      evaluate({ samples: unlabelled, answer: async () => '', extract }),
    ).rejects.toMatchObject({ code: 'DATA_INVALID' });
  });
});

describe('questions with one id', () => {
  it('are all asked and counted with their own letters', async () => {
    const same = [question(0), question(1, { id: 'q0' }), question(2, { id: 'q0' })];
    const predictions = await run(same);
    expect(asked).toEqual(['q0', 'q0', 'q0']);
    expect(predictions.map(({ gold, raw }) => [gold, raw])).toEqual([
      ['A', 'A'],
      ['B', 'B'],
      ['A', 'A'],
    ]);
    expect(await run(same)).toEqual(predictions);
    expect(asked).toHaveLength(3);
  });
});

describe('a folder with answers of another evaluation', () => {
  it.each<[string, Partial<EvaluationIdentity>, RegExp]>([
    ['weights', { weights: 'w2' }, /weights was w1, is w2/],
    ['prompt', { prompt: 'p2' }, /prompt was p1, is p2/],
    ['a setting', { settings: { maxNewTokens: 4 } }, /settings\.maxNewTokens was 3, is 4/],
    [
      'a new setting',
      { settings: { maxNewTokens: 3, minPixels: 1 } },
      /minPixels was absent, is 1/,
    ],
    ['the version', { versions: { spatialsv: '2' } }, /versions\.spatialsv was "1", is "2"/],
  ])('is refused for other %s, unless it may be overwritten', async (_name, change, message) => {
    await run(samples());
    await expect(run(samples(), change)).rejects.toMatchObject({ code: 'USAGE' });
    await expect(run(samples(), change)).rejects.toThrow(message);
    expect(asked).toHaveLength(3);
    await run(samples(), change, { overwrite: true });
    expect(asked).toHaveLength(6);
    await run(samples(), change);
    expect(asked).toHaveLength(6);
  });

  it.each<[string, Partial<SampleV1>]>([
    ['question', { question: 'what' }],
    ['options', { options: { A: 'y', B: 'x' } }],
    ['right letter', { answerLetter: 'A' }],
    ['category', { category: 'rotation' }],
    ['id', { id: 'r1' }],
  ])('is refused when a question has another %s', async (_name, change) => {
    await run(samples());
    const replaced = [question(0), question(1, change), question(2)];
    await expect(run(replaced)).rejects.toThrow(/question 2/);
    expect(asked).toHaveLength(3);
  });

  it('is refused when an image was replaced under its name', async () => {
    await run(samples());
    writeFileSync(image, 'another image');
    await expect(run(samples())).rejects.toThrow(/question 1 \('q0'\).*images/);
  });

  it('is refused when nothing says whose answers they are', async () => {
    await run(samples());
    rmSync(join(out, EVALUATION_FILE));
    await expect(run(samples())).rejects.toThrow(/evaluation\.json is missing/);
  });

  it('is taken when only the place of the questions is another one', async () => {
    await run(samples());
    const moved = join(root, 'moved.png');
    writeFileSync(moved, 'image');
    await run(samples().map((sample) => ({ ...sample, images: [moved] })));
    expect(asked).toHaveLength(3);
  });
});

describe('a folder in use', () => {
  it('is refused with the name of its owner, and free again after a failure', async () => {
    const lock = await lockFolder(out, 'eval');
    await expect(run(samples())).rejects.toThrow(new RegExp(`process ${process.pid}`));
    await lock.release();
    const failing = run(samples(), {}, { answer: () => Promise.reject(new Error('no memory')) });
    await expect(failing).rejects.toThrow('no memory');
    await run(samples());
    expect(() => readFileSync(join(out, LOCK_FILE))).toThrow();
  });
});
