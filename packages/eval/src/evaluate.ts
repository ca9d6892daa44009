import { join } from 'node:path';
import { lockFolder, type Shard, withCleanup } from '@spatialsv/core';
import type { BenchmarkQuestionV1 } from '@spatialsv/core/spec';
import { AnswerLog } from './answer-log.js';
import { type Answer, type Protocol, scoreAnswer, scoredQuestion } from './answers.js';
import {
  type EvaluationFolder,
  openEvaluationFolder,
  PREDICTIONS_FILE,
} from './evaluation-folder.js';
import { type QuestionKeys, questionKeys } from './question-keys.js';
import { writeQuestions } from './recorded-questions.js';

export interface EvaluateOptions extends Protocol {
  readonly questions: readonly BenchmarkQuestionV1[];
  /** Says what the model answers. */
  readonly answer: (question: BenchmarkQuestionV1) => Promise<string>;
  /** Questions that are asked at the same time, 1 by default. */
  readonly atOnce?: number;
  /** The order in which questions are asked, see {@link askingOrder}; that of the benchmark where absent. */
  readonly order?: readonly number[];
  /** Where answers are kept; those that are there already are not asked again. */
  readonly folder?: EvaluationFolder | undefined;
  /** Ask only every n-th question, from the i-th on, i from 1. */
  readonly shard?: Shard | undefined;
  readonly onProgress?: (done: number, total: number) => void;
  readonly signal?: AbortSignal;
}

/** A question that is asked in this run. */
interface Asked extends QuestionKeys {
  readonly index: number;
  readonly question: BenchmarkQuestionV1;
}

/**
 * Asks every question once. Each answer is appended to the log as it comes, so an interrupted run continues; the folder
 * belongs to one process at a time.
 * @returns the answers, in the order of the questions.
 * @throws SpatialError USAGE when the folder holds answers of another model, of other settings or to other questions, or when
 *   another process writes to it; FILE_MISSING, FILE_INVALID.
 */
export async function evaluate(options: EvaluateOptions): Promise<readonly Answer[]> {
  const asked = await askedIn(options);
  const { folder } = options;
  if (folder === undefined) return askAll(options, asked, new Map());
  const lock = await lockFolder(folder.path, 'eval');
  const work = async () => {
    const known = await openEvaluationFolder(folder, options, asked);
    await writeQuestions(folder.path, asked);
    return askAll(options, asked, known);
  };
  return withCleanup(work, () => lock.release());
}

async function askedIn({ questions, shard, folder }: EvaluateOptions): Promise<readonly Asked[]> {
  const mine = questions
    .map((question, index) => ({ question, index }))
    .filter(({ index }) => shard === undefined || index % shard.count === shard.index - 1);
  const keys = folder === undefined ? [] : await questionKeys(mine.map(({ question }) => question));
  return mine.map(({ question, index }, i) => ({ question, index, ...(keys[i] ?? { key: '' }) }));
}

/** @returns the answers in the order of the benchmark, in which the log is also left. */
async function askAll(
  options: EvaluateOptions,
  asked: readonly Asked[],
  known: ReadonlyMap<number, Answer>,
): Promise<readonly Answer[]> {
  const { folder, onProgress } = options;
  const answers = new Map(known);
  const log = folder && new AnswerLog(join(folder.path, PREDICTIONS_FILE), [...known.keys()]);
  let done = asked.filter(({ index }) => known.has(index)).length;
  if (done > 0) onProgress?.(done, asked.length);
  await eachAtOnce(options, inAskingOrder(options, asked, known), async (each) => {
    const answer = await ask(options, each);
    await log?.add(answer);
    answers.set(each.index, answer);
    done += 1;
    onProgress?.(done, asked.length);
  });
  // Those that are not asked this time are kept.
  await log?.leaveInOrder([...answers.values()].sort((a, b) => a.index - b.index));
  return asked.map(({ index }) => answers.get(index)!);
}

/** Those that have no answer yet, the first to be asked first. */
function inAskingOrder(
  { order }: EvaluateOptions,
  asked: readonly Asked[],
  known: ReadonlyMap<number, Answer>,
): readonly Asked[] {
  const missing = asked.filter(({ index }) => !known.has(index));
  if (order === undefined) return missing;
  const places = new Map(order.map((index, place) => [index, place]));
  return missing.toSorted((a, b) => places.get(a.index)! - places.get(b.index)!);
}

/** After an error nothing more is begun; it is thrown when what is under way has ended. */
async function eachAtOnce(
  { atOnce = 1, signal }: EvaluateOptions,
  asked: readonly Asked[],
  work: (each: Asked) => Promise<void>,
): Promise<void> {
  const waiting = asked[Symbol.iterator]();
  let isFailed = false;
  const take = async () => {
    for (const each of waiting) {
      signal?.throwIfAborted();
      if (isFailed) return;
      await work(each);
    }
  };
  const takers = Array.from({ length: Math.min(atOnce, asked.length) }, () =>
    take().catch((error: unknown) => {
      isFailed = true;
      throw error;
    }),
  );
  const failed = (await Promise.allSettled(takers)).find(({ status }) => status === 'rejected');
  if (failed !== undefined) throw (failed as PromiseRejectedResult).reason;
}

async function ask(options: EvaluateOptions, { index, key, question }: Asked): Promise<Answer> {
  const raw = await options.answer(question);
  return { index, key, raw, ...scoreAnswer(options, scoredQuestion(question), raw) };
}
