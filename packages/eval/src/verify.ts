import { isDeepStrictEqual } from 'node:util';
import { SpatialError } from '@spatialsv/core';
import { readOptionalJson } from '@spatialsv/core/kit';
import { type Answer, type Protocol, scoreAnswer } from './answers.js';
import {
  EVALUATION_FILE,
  type EvaluationRecord,
  RESULTS_FILE,
  readAnswers,
  readRecord,
} from './evaluation-folder.js';
import { type EvaluationResults, evaluationResults } from './results.js';

/** A number of a run folder that its outputs do not give. */
export interface Discrepancy {
  /** `predictions.jsonl: 'id'`, or a path into results.json such as `columns.2.value`. */
  readonly where: string;
  readonly stored: unknown;
  readonly found: unknown;
}

/**
 * Reads, scores and combines the outputs of a run folder again, and compares every number that is written there.
 * @throws SpatialError FILE_MISSING for a folder without results.
 */
export async function verifyEvaluation(
  folder: string,
  protocol: Protocol,
): Promise<readonly Discrepancy[]> {
  const answers = await answersOf(folder);
  const stored = await readOptionalJson(folder, RESULTS_FILE);
  if (stored === undefined) throw missing(folder, RESULTS_FILE);
  const again = answers.map((answer) => ({
    ...answer,
    ...scoreAnswer(protocol, answer.question, answer.raw),
  }));
  const rows = again.flatMap((now, i): Discrepancy[] => {
    const [was, is] = [answers[i]!, now].map(({ extracted, score }) => ({ extracted, score }));
    return isDeepStrictEqual(was, is)
      ? []
      : [{ where: `predictions.jsonl: '${now.question.id}'`, stored: was, found: is }];
  });
  const results = plain(evaluationResults(protocol, again, Number(stored['seed']))) as Record<
    string,
    unknown
  >;
  return [
    ...rows,
    ...Object.keys(results).flatMap((name) => differences(name, stored[name], results[name])),
  ];
}

/** As it is read from a file. */
const plain = (results: EvaluationResults): unknown => JSON.parse(JSON.stringify(results));

function differences(where: string, stored: unknown, found: unknown): readonly Discrepancy[] {
  if (isDeepStrictEqual(stored, found)) return [];
  if (!isTree(stored) || !isTree(found)) return [{ where, stored, found }];
  const names = new Set([...Object.keys(stored), ...Object.keys(found)]);
  return [...names].flatMap((name) => differences(`${where}.${name}`, stored[name], found[name]));
}

const isTree = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null;

/** Answers of a run folder in the order of the questions. @throws SpatialError FILE_MISSING. */
export async function answersOf(folder: string): Promise<readonly Answer[]> {
  const answers = await readAnswers(folder);
  if (answers.size === 0) throw missing(folder, 'predictions.jsonl');
  return [...answers.values()].toSorted((a, b) => a.index - b.index);
}

/** @throws SpatialError FILE_MISSING where the folder is no run of an evaluation. */
export async function recordOf(folder: string): Promise<EvaluationRecord> {
  const record = await readRecord(folder);
  if (record === undefined) throw missing(folder, EVALUATION_FILE);
  return record;
}

const missing = (folder: string, name: string): SpatialError =>
  new SpatialError({
    code: 'FILE_MISSING',
    message: `${folder}: expected the run folder of an evaluation, found no readable ${name}`,
    hint: 'Name a folder that `spatialsv eval --out` has written to the end.',
  });
