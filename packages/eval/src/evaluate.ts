import { appendLine, lockFolder, type Shard, withCleanup } from '@spatialsv/core';
import type { BenchmarkQuestionV1 } from '@spatialsv/core/spec';
import { type Answer, type Protocol, scoreAnswer, scoredQuestion } from './answers.js';
import {
  type EvaluationIdentity,
  openEvaluationFolder,
  PREDICTIONS_FILE,
} from './evaluation-folder.js';
import { type QuestionKeys, questionKeys } from './question-keys.js';
import { writeQuestions } from './recorded-questions.js';

export interface EvaluateOptions extends Protocol {
  readonly questions: readonly BenchmarkQuestionV1[];
  /** Says what the model answers. */
  readonly answer: (question: BenchmarkQuestionV1) => Promise<string>;
  /** Where answers are kept; those that are there already are not asked again. */
  readonly folder?: EvaluationFolder | undefined;
  /** Ask only every n-th question, from the i-th on, i from 1. */
  readonly shard?: Shard | undefined;
  readonly onProgress?: (done: number, total: number) => void;
  readonly signal?: AbortSignal;
}

export interface EvaluationFolder {
  readonly path: string;
  /** What the answers depend on, beside the questions. */
  readonly identity: EvaluationIdentity;
  /** Forget the answers of another evaluation, instead of refusing the folder. */
  readonly overwrite?: boolean;
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

async function askAll(
  options: EvaluateOptions,
  asked: readonly Asked[],
  known: ReadonlyMap<number, Answer>,
): Promise<readonly Answer[]> {
  const { signal, onProgress, folder } = options;
  const answers: Answer[] = [];
  for (const each of asked) {
    signal?.throwIfAborted();
    const answer = known.get(each.index) ?? (await ask(options, each));
    if (folder !== undefined && !known.has(each.index)) {
      await appendLine(`${folder.path}/${PREDICTIONS_FILE}`, JSON.stringify(answer));
    }
    answers.push(answer);
    onProgress?.(answers.length, asked.length);
  }
  return answers;
}

async function ask(options: EvaluateOptions, { index, key, question }: Asked): Promise<Answer> {
  const raw = await options.answer(question);
  return { index, key, raw, ...scoreAnswer(options, scoredQuestion(question), raw) };
}
