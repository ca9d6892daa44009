import { mkdtempSync, readFileSync, rmSync, utimesSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { BenchmarkQuestionV1 } from '@spatialsv/core/spec';
import { defineBenchmark } from './benchmarks/define-benchmark.js';
import { evaluate } from './evaluate.js';
import { PREDICTIONS_FILE, RESULTS_FILE } from './evaluation-folder.js';
import {
  finishedEvaluation,
  hashAnswers,
  knownStatistics,
  type Repeated,
  readResults,
} from './finished.js';
import { evaluationResults } from './results.js';

let root: string;
let image: string;
let path: string;

const benchmark = defineBenchmark({
  id: 'test',
  title: 'Test',
  variants: ['plain', 'other'],
  async *questions() {},
  extract: (text) => text,
});
const protocol = { benchmark, variant: 'plain' };
const questions = (): BenchmarkQuestionV1[] =>
  ['A', 'B', 'A'].map((value, index) => ({
    id: `q${index}`,
    category: 'all',
    parts: [
      { type: 'image', image: { name: 'a.png', source: image } },
      { type: 'text', text: `where ${index}` },
    ],
    options: [
      { letter: 'A', text: 'x' },
      { letter: 'B', text: 'y' },
    ],
    right: { kind: 'letter', value },
    maxNewTokens: 3,
  }));

beforeEach(async () => {
  root = mkdtempSync(join(tmpdir(), 'finished-'));
  image = join(root, 'a.png');
  path = join(root, 'run');
  writeFileSync(image, 'image');
  const identity = { weights: 'w', prompt: 'p', settings: {}, versions: {} };
  const folder = { path, identity, origin: 'here' };
  await evaluate({ ...protocol, questions: questions(), answer: async () => 'A', folder });
});
afterEach(() => rmSync(root, { recursive: true }));

const again = (change: Partial<Repeated> = {}) =>
  finishedEvaluation({ ...protocol, path, origin: 'here', questions: questions(), ...change });

const predictions = () => join(path, PREDICTIONS_FILE);

describe('an evaluation with all of its answers', () => {
  it('gives them again, also for fewer questions', async () => {
    const finished = await again();
    expect(finished!.answers.map(({ raw, score }) => [raw, score])).toEqual([
      ['A', 1],
      ['A', 0],
      ['A', 1],
    ]);
    expect(finished!.record).toMatchObject({ weights: 'w', prompt: 'p' });
    expect((await again({ questions: questions().slice(0, 1) }))!.answers).toHaveLength(1);
  });

  it.each<[string, () => Partial<Repeated>]>([
    ['another origin', () => ({ origin: 'there' })],
    ['another variant', () => ({ variant: 'other' })],
    ['a shard', () => ({ shard: { index: 1, count: 2 } })],
    ['another folder', () => ({ path: root })],
    ['one question more', () => ({ questions: [...questions(), questions()[0]!] })],
    [
      'another right answer',
      () => ({ questions: changed({ right: { kind: 'letter', value: 'B' } }) }),
    ],
    [
      'another text',
      () => ({ questions: changed({ parts: [{ type: 'text', text: 'where 9' }] }) }),
    ],
    ['another limit', () => ({ questions: changed({ maxNewTokens: 4 }) })],
  ])('is another one with %s', async (_, change) => {
    expect(await again(change())).toBeUndefined();
  });

  const changed = (change: Partial<BenchmarkQuestionV1>) => [
    { ...questions()[0]!, ...change },
    ...questions().slice(1),
  ];

  it('is another one when an image has other pixels, of the same size and with the old time', async () => {
    const time = new Date(Date.now() - 60_000);
    utimesSync(image, time, time);
    expect(await again()).toBeDefined();
    writeFileSync(image, 'IMAGE');
    utimesSync(image, time, time);
    expect(await again()).toBeUndefined();
  });

  it('is not finished when a line of the log is damaged or gone', async () => {
    const lines = readFileSync(predictions(), 'utf8').trim().split('\n');
    writeFileSync(predictions(), [lines[0], '{"index":1,', lines[2], ''].join('\n'));
    expect(await again()).toBeUndefined();
    writeFileSync(predictions(), `${lines[0]}\n`);
    expect(await again()).toBeUndefined();
  });
});

describe('statistics that take long', () => {
  const write = async () => {
    const { answers } = (await again())!;
    const results = evaluationResults(protocol, answers, 3);
    const answersHash = await hashAnswers(path);
    const written = { ...results, leftOut: 0, answersHash };
    writeFileSync(join(path, RESULTS_FILE), JSON.stringify(written));
    return { answers, results, answersHash };
  };

  it('are taken from results of the same answers and seed', async () => {
    const { answers, results, answersHash } = await write();
    const known = knownStatistics((await readResults(path, answersHash))!, 3);
    expect(known.permutationP).toBe(results.accuracy!.significance.permutationP);
    expect(evaluationResults(protocol, answers, 3, known)).toEqual(results);
  });

  it('are computed again for another seed, and for other answers', async () => {
    const { answersHash } = await write();
    expect(knownStatistics((await readResults(path, answersHash))!, 4)).toEqual({});
    writeFileSync(
      predictions(),
      readFileSync(predictions(), 'utf8').replace('"raw":"A"', '"raw":"B"'),
    );
    expect(await readResults(path, await hashAnswers(path))).toBeUndefined();
    writeFileSync(join(path, RESULTS_FILE), '{');
    expect(await readResults(path, answersHash)).toBeUndefined();
  });
});
