/** Evaluations that have all of their answers: nothing has to be opened to repeat them. */
import { createHash } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { isDeepStrictEqual } from 'node:util';
import { readOptionalJson } from '@spatialsv/core/kit';
import type { Answer } from './answers.js';
import type { EvaluateOptions } from './evaluate.js';
import {
  type EvaluationRecord,
  PREDICTIONS_FILE,
  RESULTS_FILE,
  readAnswers,
  readRecord,
} from './evaluation-folder.js';
import { questionKeys } from './question-keys.js';
import type { EvaluationResults, KnownStatistics } from './results.js';

export interface FinishedEvaluation {
  readonly answers: readonly Answer[];
  readonly record: EvaluationRecord;
}

/** What is asked for now. */
export interface Repeated
  extends Pick<EvaluateOptions, 'benchmark' | 'variant' | 'questions' | 'shard'> {
  /** Run folder. */
  readonly path: string;
  /** See `EvaluationFolder`. */
  readonly origin: string;
}

/**
 * The answers of a run folder that has one to every question as it is now, by the same model under the same settings.
 * @returns undefined where anything has changed or is missing: what it is is said by whoever asks.
 * @throws SpatialError FILE_MISSING | FILE_INVALID for an image of a question.
 */
export async function finishedEvaluation(
  repeated: Repeated,
): Promise<FinishedEvaluation | undefined> {
  const { path, questions, shard } = repeated;
  const record = await readRecord(path);
  if (record === undefined || !isSameEvaluation(record, repeated)) return undefined;
  const known = await readAnswers(path);
  const indices = [...questions.keys()].filter(
    (index) => shard === undefined || index % shard.count === shard.index - 1,
  );
  if (!indices.every((index) => known.has(index))) return undefined;
  const keys = await questionKeys(indices.map((index) => questions[index]!));
  const answers = indices.map((index) => known.get(index)!);
  return answers.every(({ key }, i) => key === keys[i]!.key) ? { answers, record } : undefined;
}

/** Whether a run folder is of an evaluation with this origin, as far as it has come. */
export const hasOrigin = async (folder: string, origin: string): Promise<boolean> =>
  (await readRecord(folder))?.origin === origin;

function isSameEvaluation(
  record: EvaluationRecord,
  { origin, benchmark, variant, shard }: Repeated,
): boolean {
  const was = [record.origin, record.benchmark, record.variant, record.shard];
  return isDeepStrictEqual(was, [origin, benchmark.id, variant, shard]);
}

/** SHA-256 of the log of answers of a run folder. */
export async function hashAnswers(folder: string): Promise<string> {
  const content = await readFile(join(folder, PREDICTIONS_FILE));
  return createHash('sha256').update(content).digest('hex');
}

/** What results.json says of an evaluation, and of which answers it was counted. */
export type WrittenResults = EvaluationResults & {
  /** Rows of the data that cannot be asked. */
  readonly leftOut: number;
  /** SHA-256 of the log of answers. */
  readonly answersHash: string;
};

/**
 * What results.json of a run folder says; undefined where it is missing or of other answers.
 * @param answersHash that of the answers that are there now.
 */
export async function readResults(
  folder: string,
  answersHash: string,
): Promise<WrittenResults | undefined> {
  const found = await readOptionalJson(folder, RESULTS_FILE).catch(() => undefined);
  return found?.['answersHash'] === answersHash ? (found as unknown as WrittenResults) : undefined;
}

/** What need not be computed again for the same answers and seed. */
export function knownStatistics(results: WrittenResults, seed: number): KnownStatistics {
  const permutationP = results.accuracy?.significance.permutationP;
  return results.seed === seed && permutationP !== undefined ? { permutationP } : {};
}
