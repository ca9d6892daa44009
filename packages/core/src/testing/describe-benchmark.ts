import assert from 'node:assert/strict';
import path from 'node:path';
import { SpatialError } from '../errors.js';
import type {
  BenchmarkQuestionV1,
  BenchmarkReportV1,
  BenchmarkV1,
  ScoredAnswerV1,
} from '../spec.js';
import { globalRunner, once, type TestRunner } from './test-runner.js';

export interface BenchmarkConformance {
  readonly benchmark: BenchmarkV1;
  /** Its files, with two or more questions whose right answers are known, in a small form. */
  readonly folder: string;
  /** The same files with a row that cannot be asked, and where that row is, as a message names it. */
  readonly broken: { readonly folder: string; readonly place: string };
  /** What a model says that is right; the right answer itself where absent. */
  readonly say?: (question: BenchmarkQuestionV1, variant: string) => string;
}

interface Reading {
  readonly questions: readonly BenchmarkQuestionV1[];
  readonly problems: readonly SpatialError[];
}

async function read(benchmark: BenchmarkV1, folder: string, variant: string): Promise<Reading> {
  const questions: BenchmarkQuestionV1[] = [];
  const problems: SpatialError[] = [];
  const options = { variant, onProblem: (problem: SpatialError) => problems.push(problem) };
  for await (const question of benchmark.questions(folder, options)) questions.push(question);
  return { questions, problems };
}

function checkContribution({ benchmark }: BenchmarkConformance): void {
  assert.equal(benchmark.specificationVersion, 'v1');
  assert.equal(benchmark.kind, 'benchmark');
  assert.match(benchmark.id, /^[a-z0-9][a-z0-9.-]*$/);
  assert.ok(benchmark.title !== '', 'it has no title');
  assert.ok(benchmark.variants.length > 0, 'it has no variant');
  assert.equal(new Set(benchmark.variants).size, benchmark.variants.length);
}

async function checkQuestions({ benchmark, folder }: BenchmarkConformance): Promise<void> {
  for (const variant of benchmark.variants) {
    const { questions, problems } = await read(benchmark, folder, variant);
    assert.deepEqual(problems, [], 'a row of the whole files is left out');
    assert.ok(
      questions.length > 1,
      `${variant}: expected two questions, found ${questions.length}`,
    );
    const ids = questions.map(({ id }) => id);
    assert.equal(new Set(ids).size, ids.length, `${variant}: two questions have one id`);
    for (const question of questions) checkQuestion(question);
    const again = await read(benchmark, folder, variant);
    assert.deepEqual(again.questions.map(facts), questions.map(facts), 'another reading differs');
  }
}

function checkQuestion({
  id,
  category,
  parts,
  maxNewTokens,
  right,
  options,
}: BenchmarkQuestionV1): void {
  assert.ok(id !== '' && category !== '', 'a question has no id or no category');
  assert.ok(
    parts.some(({ type }) => type === 'text'),
    `${id} has no text`,
  );
  assert.ok(Number.isInteger(maxNewTokens) && maxNewTokens > 0, `${id} has no limit of its answer`);
  for (const part of parts) {
    const file =
      part.type === 'image'
        ? part.image.source
        : part.type === 'video'
          ? part.video.path
          : undefined;
    if (typeof file === 'string') assert.ok(path.isAbsolute(file), `${file} is not absolute`);
  }
  if (right?.kind !== 'letter') return;
  const letters = options?.map(({ letter }) => letter) ?? [];
  assert.ok(letters.includes(right.value), `${id}: no option ${right.value}`);
}

/** What of a question is JSON. */
const facts = ({ parts, ...question }: BenchmarkQuestionV1) => ({
  ...question,
  texts: parts.map((part) => (part.type === 'text' ? part.text : part.type)),
});

/** Facts beside an answer survive being written down, so that a run can be scored again. */
async function checkFacts({ benchmark, folder }: BenchmarkConformance): Promise<void> {
  const { questions } = await read(benchmark, folder, benchmark.variants[0]!);
  for (const question of questions) {
    const written = JSON.parse(JSON.stringify(facts(question)));
    assert.deepEqual(written, facts(question), `${question.id} has facts that are not JSON`);
  }
}

async function checkScores(conformance: BenchmarkConformance): Promise<void> {
  const { benchmark, folder, say = ({ right }) => right!.value } = conformance;
  for (const variant of benchmark.variants) {
    const { questions } = await read(benchmark, folder, variant);
    const asked = questions.filter(({ right }) => right !== undefined);
    assert.ok(asked.length > 1, `${variant}: expected two right answers that are known`);
    for (const question of asked) {
      const extracted = benchmark.extract(say(question, variant), question, variant);
      assert.equal(
        benchmark.score(extracted, question, variant),
        1,
        `${question.id}: the right answer scores less than 1`,
      );
      assert.equal(
        benchmark.score(undefined, question, variant),
        0,
        `${question.id}: no answer scores more than 0`,
      );
    }
  }
}

async function checkReport({ benchmark, folder }: BenchmarkConformance): Promise<void> {
  for (const variant of benchmark.variants) {
    const { questions } = await read(benchmark, folder, variant);
    const scored = (score: number): ScoredAnswerV1[] =>
      questions.map(({ parts: _, ...question }) => ({
        question,
        extracted: question.right?.value ?? null,
        score,
      }));
    checkFigures(benchmark.combine(scored(1), variant), 1);
    checkFigures(benchmark.combine(scored(0), variant), 0);
    const mixed = scored(1).map((answer, i) => ({ ...answer, score: i % 2 }));
    const { overall } = benchmark.combine(mixed, variant);
    const reversed = benchmark.combine(mixed.toReversed(), variant).overall;
    assert.ok(
      Math.abs(overall.value - reversed.value) < 1e-9,
      'the order of answers changes the figure',
    );
    checkFigures(benchmark.combine([], variant), 0);
  }
}

/** @param value of everything but errors. */
function checkFigures({ overall, columns, beside = [] }: BenchmarkReportV1, value: number): void {
  for (const column of [overall, ...columns, ...beside]) {
    assert.ok(Number.isFinite(column.value), `${column.name} is ${column.value}`);
    if (column.unit === 'error' || column.unit === 'count' || column.total === 0) continue;
    assert.ok(
      Math.abs(column.value - value) < 1e-9,
      `${column.name}: expected ${value}, found ${column.value}`,
    );
  }
}

async function checkProblems({ benchmark, broken }: BenchmarkConformance): Promise<void> {
  const { questions, problems } = await read(benchmark, broken.folder, benchmark.variants[0]!);
  assert.ok(questions.length > 0, 'one wrong row takes all others along');
  assert.equal(problems.length, 1, `expected one problem, found ${problems.length}`);
  assert.ok(SpatialError.isInstance(problems[0]), 'a problem is no SpatialError');
  assert.ok(
    problems[0]!.message.includes(broken.place),
    `expected ${broken.place} in: ${problems[0]!.message}`,
  );
}

/**
 * The conformance suite of a benchmark: questions that can be asked, scored again from what is written down, and combined; rows that
 * are wrong are reported and left out.
 * @param create writes the files; called once.
 */
export const describeBenchmark = (
  create: () => BenchmarkConformance | Promise<BenchmarkConformance>,
  options: { readonly timeoutMs?: number; readonly runner?: TestRunner } = {},
): void => {
  const { timeoutMs = 60_000, runner = globalRunner() } = options;
  const given = once(create);
  const cases: Readonly<Record<string, () => Promise<void>>> = {
    'says what it is': async () => checkContribution(await given()),
    'gives questions that can be asked, the same at every reading': async () =>
      checkQuestions(await given()),
    'keeps beside an answer only what is JSON': async () => checkFacts(await given()),
    'scores the right answer 1 and none 0': async () => checkScores(await given()),
    'combines answers in any order': async () => checkReport(await given()),
    'reports a row that cannot be asked, and leaves only it out': async () =>
      checkProblems(await given()),
    'says what is missing': async () => {
      const { benchmark, folder } = await given();
      const missing = `${folder}/none`;
      const work = read(benchmark, missing, benchmark.variants[0]!);
      await assert.rejects(
        work,
        (error) => SpatialError.isInstance(error) && error.code === 'FILE_MISSING',
      );
    },
  };
  runner.describe('benchmark', () => {
    for (const [name, body] of Object.entries(cases)) runner.it(name, body, timeoutMs);
  });
};
