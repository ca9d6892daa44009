import { isDeepStrictEqual } from 'node:util';
import { SpatialError } from '@spatialsv/core';
import type { Answer } from './answers.js';
import type { EvaluationRecord } from './evaluation-folder.js';
import { answersOf, recordOf } from './verify.js';

export interface MergedEvaluation {
  readonly record: EvaluationRecord;
  /** In the order of the questions. */
  readonly answers: readonly Answer[];
}

/**
 * The answers of several shards of one evaluation.
 * @throws SpatialError USAGE for folders of different evaluations, for answers that differ, and for questions that nobody asked.
 */
export async function mergeEvaluations(folders: readonly string[]): Promise<MergedEvaluation> {
  const records = await Promise.all(folders.map(recordOf));
  const first = records[0]!;
  const other = records.findIndex((record) => !isDeepStrictEqual(common(record), common(first)));
  if (other > 0)
    throw usage(
      `${folders[other]}: another evaluation than ${folders[0]}`,
      'Merge shards of one evaluation: same model, benchmark, data and settings.',
    );
  const answers = new Map<number, Answer>();
  for (const folder of folders) {
    for (const answer of await answersOf(folder)) {
      const known = answers.get(answer.index);
      if (known !== undefined && !isDeepStrictEqual(known, answer))
        throw usage(
          `${folder}: another answer to '${answer.question.id}' than in the folders before`,
          'Leave one of the folders out.',
        );
      answers.set(answer.index, answer);
    }
  }
  requireAll(answers, first.data.questions);
  const { shard: _, ...record } = first;
  return { record, answers: [...answers.values()].toSorted((a, b) => a.index - b.index) };
}

/** What shards have in common. */
const common = ({ shard: _, data: { questions }, ...record }: EvaluationRecord) => ({
  ...record,
  questions,
});

function requireAll(answers: ReadonlyMap<number, Answer>, count: number): void {
  const missing = Array.from({ length: count }, (_, index) => index).filter(
    (index) => !answers.has(index),
  );
  if (missing.length === 0) return;
  const numbers = missing
    .slice(0, 5)
    .map((index) => index + 1)
    .join(', ');
  throw usage(
    `${missing.length} of ${count} questions have no answer (question ${numbers}${missing.length > 5 ? ', …' : ''})`,
    'Run the missing shards to their end, and name all of their folders.',
  );
}

const usage = (message: string, hint: string): SpatialError =>
  new SpatialError({ code: 'USAGE', message, hint });
