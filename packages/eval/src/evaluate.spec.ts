import { appendFileSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { LOCK_FILE, lockFolder } from '@spatialsv/core';
import type { BenchmarkQuestionV1, PromptPartV1 } from '@spatialsv/core/spec';
import { defineBenchmark } from './benchmarks/define-benchmark.js';
import { compareRuns } from './compare.js';
import { type EvaluateOptions, evaluate } from './evaluate.js';
import { EVALUATION_FILE, type EvaluationIdentity, PREDICTIONS_FILE } from './evaluation-folder.js';
import { mergeEvaluations } from './merge.js';
import { QUESTIONS_FILE, readQuestions } from './recorded-questions.js';
import { evaluationResults } from './results.js';
import { verifyEvaluation } from './verify.js';

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

const parts = (text: string, path = image): readonly PromptPartV1[] => [
  { type: 'image', image: { name: path, source: path } },
  { type: 'text', text },
];

const question = (
  index: number,
  change: Partial<BenchmarkQuestionV1> = {},
): BenchmarkQuestionV1 => ({
  id: `q${index}`,
  category: 'all',
  parts: parts(`where ${index}`),
  options: [
    { letter: 'A', text: 'x' },
    { letter: 'B', text: 'y' },
  ],
  right: { kind: 'letter', value: index === 1 ? 'B' : 'A' },
  maxNewTokens: 3,
  ...change,
});
const benchmark = defineBenchmark({
  id: 'test',
  title: 'Test',
  variants: ['plain'],
  async *questions() {},
  extract: (text) => (text === '' ? undefined : text),
});
const questions = () => [0, 1, 2].map((index) => question(index));

const IDENTITY: EvaluationIdentity = {
  weights: 'w1',
  prompt: 'p1',
  settings: { maxNewTokens: 3, minPixels: undefined },
  versions: { spatialsv: '1' },
};

const answer = async ({ id, right }: BenchmarkQuestionV1) => {
  asked.push(id);
  return id === 'q2' ? '' : right!.value;
};

const run = (
  given: readonly BenchmarkQuestionV1[],
  identity: Partial<EvaluationIdentity> = {},
  rest: Partial<EvaluateOptions> & { readonly overwrite?: boolean } = {},
) => {
  const { overwrite = false, ...options } = rest;
  const folder = { path: out, identity: { ...IDENTITY, ...identity }, overwrite };
  return evaluate({ benchmark, variant: 'plain', questions: given, answer, folder, ...options });
};

const log = () =>
  readFileSync(join(out, PREDICTIONS_FILE), 'utf8')
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line));

describe('evaluate', () => {
  it('continues an interrupted log, cutting a half-written line', async () => {
    await run(questions().slice(0, 2));
    appendFileSync(join(out, PREDICTIONS_FILE), '{"id":"q2","ra');
    const predictions = await run(questions());
    expect(asked).toEqual(['q0', 'q1', 'q2']);
    expect(predictions.map((row) => row.extracted)).toEqual(['A', 'B', null]);
    expect(log().map((row) => row.question.id)).toEqual(['q0', 'q1', 'q2']);
    expect(predictions.map(({ score }) => score)).toEqual([1, 1, 0]);
    const alone = await evaluate({ benchmark, variant: 'plain', questions: questions(), answer });
    expect(predictions.map(({ key: _, ...row }) => row)).toEqual(
      alone.map(({ key: _, ...row }) => row),
    );
  });

  it('stands beside what was asked, one key for questions about the same views', async () => {
    const other = join(root, 'b.png');
    writeFileSync(other, 'another image');
    const blind = question(2, { parts: [{ type: 'text', text: 'nothing to see' }] });
    await run([question(0), question(1, { parts: parts('where 1', other) }), blind, question(3)]);
    const [first, second, third, fourth] = await readQuestions(out);
    expect(first).toMatchObject({ index: 0, text: 'where 0', images: [image] });
    expect(first!.views).toMatch(/^[0-9a-f]{64}$/);
    expect([second!.views === first!.views, third!.views]).toEqual([false, undefined]);
    expect(fourth!.views).toBe(first!.views);
    appendFileSync(join(out, QUESTIONS_FILE), '{}\n');
    await expect(readQuestions(out)).rejects.toThrow(/questions.jsonl:5/);
  });

  it('asks again what a line held that the disk has lost', async () => {
    await run(questions());
    const file = join(out, PREDICTIONS_FILE);
    const [first, , third] = readFileSync(file, 'utf8').split('\n');
    writeFileSync(file, [first, '\0\0\0', third, ''].join('\n'));
    await run(questions());
    expect(asked).toEqual(['q0', 'q1', 'q2', 'q1']);
    expect(log().map(({ index }) => index)).toEqual([0, 1, 2]);
  });

  it('asks in the given order, several at the same time, and leaves the order of the questions', async () => {
    const many = Array.from({ length: 7 }, (_, index) => question(index));
    const begun: string[] = [];
    const whenBegun = new Map<number, () => void>();
    const haveBegun = (count: number) =>
      new Promise<void>((resolve) => {
        whenBegun.set(count, resolve);
      });
    const [three, all] = [haveBegun(3), haveBegun(7)];
    let [underWay, most] = [0, 0];
    const slowly = async (each: BenchmarkQuestionV1) => {
      begun.push(each.id);
      whenBegun.get(begun.length)?.();
      underWay += 1;
      most = Math.max(most, underWay);
      await (each.id === 'q6' ? all : three);
      underWay -= 1;
      return answer(each);
    };
    const order = [6, 4, 2, 0, 1, 3, 5];
    const answers = await run(many, {}, { answer: slowly, atOnce: 3, order });
    expect(most).toBe(3);
    expect(begun).toEqual(order.map((index) => `q${index}`));
    // The other two at a time go on past the first one.
    expect(asked.slice(0, 4)).not.toContain('q6');
    expect(answers.map(({ index }) => index)).toEqual([0, 1, 2, 3, 4, 5, 6]);
    expect(log().map(({ index }) => index)).toEqual([0, 1, 2, 3, 4, 5, 6]);
  });

  it.each([0, 1, 2, 3, 4, 5, 6])(
    'stopped after %i answers of several at a time, loses and doubles none',
    async (count) => {
      const many = Array.from({ length: 7 }, (_, index) => question(index));
      const order = [6, 4, 2, 0, 1, 3, 5];
      let given = 0;
      const stopping = async (each: BenchmarkQuestionV1) => {
        await new Promise((resolve) => setImmediate(resolve));
        if (given === count) throw new Error('stopped');
        given += 1;
        return answer(each);
      };
      const first = run(many, {}, { answer: stopping, atOnce: 3, order });
      await expect(first).rejects.toThrow('stopped');
      expect(asked).toHaveLength(count);
      const answers = await run(many, {}, { atOnce: 3, order });
      expect(asked.toSorted()).toEqual(many.map(({ id }) => id));
      expect(answers.map(({ index }) => index)).toEqual([0, 1, 2, 3, 4, 5, 6]);
      expect(log()).toEqual(answers);
    },
  );

  it('counts fewer of the questions, and goes on with more of them', async () => {
    await run(questions());
    expect(await run(questions().slice(0, 1))).toHaveLength(1);
    expect(await run(questions())).toHaveLength(3);
    expect(asked).toHaveLength(3);
  });

  it('scores nothing where the right answer is not known', async () => {
    const [unknown] = await run(
      [{ ...question(0), right: undefined } as never],
      {},
      { answer: async () => 'A' },
    );
    expect(unknown).toMatchObject({ extracted: 'A', score: 0 });
  });
});

describe('questions with one id', () => {
  it('are all asked and counted with their own letters', async () => {
    const same = [question(0), question(1, { id: 'q0' }), question(2, { id: 'q0' })];
    const predictions = await run(same);
    expect(asked).toEqual(['q0', 'q0', 'q0']);
    expect(predictions.map((row) => [row.question.right!.value, row.raw])).toEqual([
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
    await run(questions());
    await expect(run(questions(), change)).rejects.toMatchObject({ code: 'USAGE' });
    await expect(run(questions(), change)).rejects.toThrow(message);
    expect(asked).toHaveLength(3);
    await run(questions(), change, { overwrite: true });
    expect(asked).toHaveLength(6);
    await run(questions(), change);
    expect(asked).toHaveLength(6);
  });

  it.each<[string, Partial<BenchmarkQuestionV1>]>([
    ['text', { parts: [{ type: 'text', text: 'what' }] }],
    ['limit of the answer', { maxNewTokens: 4 }],
    ['options', { options: [{ letter: 'A', text: 'y' }] }],
    ['right letter', { right: { kind: 'letter', value: 'A' } }],
    ['category', { category: 'rotation' }],
    ['id', { id: 'r1' }],
  ])('is refused when a question has another %s', async (_name, change) => {
    await run(questions());
    const replaced = [question(0), question(1, change), question(2)];
    await expect(run(replaced)).rejects.toThrow(/question 2/);
    expect(asked).toHaveLength(3);
  });

  it('is refused when an image was replaced under its name', async () => {
    await run(questions());
    writeFileSync(image, 'another image');
    await expect(run(questions())).rejects.toThrow(/question 1 \('q0'\).*images/);
  });

  it('is refused when nothing says whose answers they are', async () => {
    await run(questions());
    rmSync(join(out, EVALUATION_FILE));
    await expect(run(questions())).rejects.toThrow(/evaluation\.json is missing/);
  });

  it('is taken when only the place of the questions is another one', async () => {
    await run(questions());
    const moved = join(root, 'moved.png');
    writeFileSync(moved, 'image');
    await run(questions().map((each, i) => ({ ...each, parts: parts(`where ${i}`, moved) })));
    expect(asked).toHaveLength(3);
  });
});

describe('a folder in use', () => {
  it('is refused with the name of its owner, and free again after a failure', async () => {
    const lock = await lockFolder(out, 'eval');
    await expect(run(questions())).rejects.toThrow(new RegExp(`process ${process.pid}`));
    await lock.release();
    const failing = run(questions(), {}, { answer: () => Promise.reject(new Error('no memory')) });
    await expect(failing).rejects.toThrow('no memory');
    await run(questions());
    expect(() => readFileSync(join(out, LOCK_FILE))).toThrow();
  });
});

describe('a shard', () => {
  it('is every n-th question; together they are all of them', async () => {
    const shard = (index: number) => ({ index, count: 2 });
    const first = await run(questions(), {}, { shard: shard(1) });
    expect(first.map(({ index }) => index)).toEqual([0, 2]);
    await expect(run(questions(), {}, { shard: shard(2) })).rejects.toThrow(/settings\.shard/);
    const second = await evaluate({
      benchmark,
      variant: 'plain',
      questions: questions(),
      answer,
      shard: shard(2),
      folder: { path: join(root, 'second'), identity: IDENTITY },
    });
    expect(second.map(({ index }) => index)).toEqual([1]);
    const merged = await mergeEvaluations([join(root, 'second'), out]);
    expect(merged.answers).toEqual([first[0], second[0], first[1]]);
    await expect(mergeEvaluations([out])).rejects.toThrow(
      /1 of 3 questions have no answer \(question 2\)/,
    );
  });

  it('of another evaluation is not merged', async () => {
    await run(questions(), {}, { shard: { index: 1, count: 2 } });
    const other = { ...IDENTITY, weights: 'w2' };
    await evaluate({
      benchmark,
      variant: 'plain',
      questions: questions(),
      answer,
      shard: { index: 2, count: 2 },
      folder: { path: join(root, 'other'), identity: other },
    });
    await expect(mergeEvaluations([out, join(root, 'other')])).rejects.toThrow(
      /another evaluation/,
    );
  });
});

describe('verification', () => {
  const protocol = { benchmark, variant: 'plain' };

  const counted = async () => {
    const answers = await run(questions());
    const results = evaluationResults(protocol, answers, 0);
    writeFileSync(join(out, 'results.json'), JSON.stringify(results));
  };

  it('finds that every number follows from the outputs', async () => {
    await counted();
    expect(await verifyEvaluation(out, protocol)).toEqual([]);
  });

  it.each<[string, string, RegExp, string, string]>([
    ['a score', 'predictions.jsonl', /"score":0/, '"score":1', "predictions.jsonl: 'q2'"],
    ['an output', 'predictions.jsonl', /"raw":"B"/, '"raw":"A"', "predictions.jsonl: 'q1'"],
    ['a figure', 'results.json', /"correct":2/, '"correct":3', 'overall.correct'],
  ])('finds %s that was changed', async (_name, file, before, after, where) => {
    await counted();
    const path = join(out, file);
    writeFileSync(path, readFileSync(path, 'utf8').replace(before, after));
    const found = await verifyEvaluation(out, protocol);
    expect(found.map((each) => each.where)).toContain(where);
  });

  it('needs a run folder', async () => {
    await expect(verifyEvaluation(root, protocol)).rejects.toMatchObject({ code: 'FILE_MISSING' });
  });
});

describe('comparison', () => {
  it('pairs the same questions of two runs', async () => {
    const first = { name: 'a', answers: await run(questions()) };
    const right = { answer: async ({ right: truth }: BenchmarkQuestionV1) => truth!.value };
    const second = {
      name: 'b',
      answers: await run(questions(), {}, { ...right, overwrite: true }),
    };
    const [comparison] = compareRuns([first, second], 1);
    expect(comparison).toMatchObject({
      questions: 3,
      first: 2 / 3,
      second: 1,
      mcNemar: { lost: 0, gained: 1 },
    });
    expect(comparison!.interval[0]).toBe(0);
    const fewer = { name: 'c', answers: first.answers.slice(1) };
    expect(() => compareRuns([first, fewer], 1)).toThrow(
      /c: 2 questions, 3 in a, of which 2 are the same/,
    );
  });
});
