import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import {
  exactScore,
  findQuestions,
  microReport,
  questionsOf,
  readTable,
  textOf,
} from '../benchmarks/index.js';
import type { BenchmarkQuestionV1, BenchmarkV1 } from '../spec.js';
import { type BenchmarkConformance, describeBenchmark } from './describe-benchmark.js';
import type { TestRunner } from './test-runner.js';

const root = mkdtempSync(path.join(tmpdir(), 'describe-benchmark-'));
afterAll(() => rmSync(root, { recursive: true }));

const options = [
  { letter: 'A', text: 'left' },
  { letter: 'B', text: 'right' },
];

const good: BenchmarkV1 = {
  specificationVersion: 'v1',
  kind: 'benchmark',
  id: 'toy',
  title: 'Toy',
  variants: ['plain'],
  async *questions(folder, { onProblem }) {
    const file = await findQuestions(folder, ['rows.jsonl'], 'Write rows.jsonl.');
    const make = (row: Parameters<typeof textOf>[0]): BenchmarkQuestionV1 => ({
      id: textOf(row, 'id'),
      category: textOf(row, 'kind'),
      options,
      right: { kind: 'letter', value: textOf(row, 'right') },
      parts: [{ type: 'text', text: 'Where?' }],
      maxNewTokens: 4,
    });
    yield* questionsOf(readTable(file, onProblem), make, onProblem);
  },
  extract: (text) => /[AB]/.exec(text)?.[0],
  score: exactScore,
  combine: (answers) => microReport(answers),
};

function files(name: string, rows: readonly object[]): string {
  const folder = path.join(root, name);
  mkdirSync(folder, { recursive: true });
  writeFileSync(path.join(folder, 'rows.jsonl'), rows.map((row) => JSON.stringify(row)).join('\n'));
  return folder;
}

const conformance = async (change: Partial<BenchmarkV1> = {}): Promise<BenchmarkConformance> => {
  const rows = [
    { id: 'a', kind: 'near', right: 'A' },
    { id: 'b', kind: 'far', right: 'B' },
  ];
  return {
    benchmark: { ...good, ...change },
    folder: files('whole', rows),
    broken: { folder: files('broken', [rows[0]!, { id: 'c' }]), place: 'rows.jsonl:2' },
  };
};

async function failuresOf(change: Partial<BenchmarkV1>): Promise<string[]> {
  const cases: [string, () => Promise<void>][] = [];
  const runner: TestRunner = {
    describe: (_name, body) => body(),
    it: (name, body) => cases.push([name, body]),
    afterAll: () => undefined,
  };
  describeBenchmark(() => conformance(change), { runner });
  const failures: string[] = [];
  for (const [name, body] of cases) await body().catch(() => failures.push(name));
  return failures;
}

/** The toy benchmark, of which each question is changed. */
const changed = (
  change: (question: BenchmarkQuestionV1, i: number) => object,
): Partial<BenchmarkV1> => ({
  async *questions(folder, given) {
    let i = 0;
    for await (const question of good.questions(folder, given))
      yield { ...question, ...change(question, i++) };
  },
});

describe('describeBenchmark', () => {
  describeBenchmark(() => conformance());

  const QUESTIONS = 'gives questions that can be asked, the same at every reading';
  let calls = 0;
  it.each<[string, Partial<BenchmarkV1>, string]>([
    ['an id with spaces', { id: 'Toy bench' }, 'says what it is'],
    ['no variant', { variants: [] }, 'says what it is'],
    ['equal ids', changed(() => ({ id: 'same' })), QUESTIONS],
    ['no limit', changed(() => ({ maxNewTokens: 0 })), QUESTIONS],
    ['no text', changed(() => ({ parts: [] })), QUESTIONS],
    ['a right letter that is no option', changed(() => ({ options: [] })), QUESTIONS],
    [
      'a relative path',
      changed(({ parts }) => ({
        parts: [...parts, { type: 'image', image: { name: 'x', source: 'x.png' } }],
      })),
      QUESTIONS,
    ],
    ['another order at every reading', changed(() => ({ category: `c${calls++}` })), QUESTIONS],
    [
      'facts that are not JSON',
      changed(() => ({ details: { at: new Date() } })),
      'keeps beside an answer only what is JSON',
    ],
    [
      'an extraction that reads nothing',
      { extract: () => undefined },
      'scores the right answer 1 and none 0',
    ],
    ['a score for no answer', { score: () => 1 }, 'scores the right answer 1 and none 0'],
    [
      'a figure that depends on the order',
      { combine: (answers) => microReport(answers.slice(0, 1)) },
      'combines answers in any order',
    ],
    [
      'a figure of nothing',
      {
        combine: (answers) => ({
          overall: {
            name: 'x',
            unit: 'score',
            value: answers.reduce((sum, { score }) => sum + score, 0) / answers.length,
            total: answers.length,
          },
          columns: [],
        }),
      },
      'combines answers in any order',
    ],
    [
      'silence about wrong rows',
      { questions: (folder, given) => good.questions(folder, { ...given, onProblem: () => {} }) },
      'reports a row that cannot be asked, and leaves only it out',
    ],
    [
      'an end at the first wrong row',
      {
        questions: (folder, given) =>
          good.questions(folder, {
            ...given,
            onProblem: (problem) => {
              throw problem;
            },
          }),
      },
      'reports a row that cannot be asked, and leaves only it out',
    ],
    [
      'nothing where files are missing',
      {
        async *questions(folder, given) {
          if (!folder.endsWith('none')) yield* good.questions(folder, given);
        },
      },
      'says what is missing',
    ],
  ])('rejects %s', async (_name, change, failing) => {
    expect(await failuresOf(change)).toContain(failing);
  });
});
