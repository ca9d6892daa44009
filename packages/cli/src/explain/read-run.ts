import { basename, dirname, join, resolve } from 'node:path';
import { SpatialError } from '@spatialsv/core';
import {
  type Answer,
  answersOf,
  type EvaluationRecord,
  QUESTIONS_FILE,
  type RecordedQuestion,
  readQuestions,
  recordOf,
} from '@spatialsv/eval';

/** An evaluation as `explain` takes it. */
export interface NamedRun {
  /** Short and different from that of every other run. */
  readonly name: string;
  readonly folder: string;
  readonly record: EvaluationRecord;
  /** Those whose right answer is known. */
  readonly answers: readonly Answer[];
  /** By the key of a question. */
  readonly questions: ReadonlyMap<string, RecordedQuestion>;
}

/**
 * Evaluations of one benchmark.
 * @throws SpatialError FILE_MISSING | FILE_INVALID for a folder that is no run or does not say what was asked; USAGE for runs that
 *   were not asked the same questions, and for a run that is named twice.
 */
export async function readRuns(folders: readonly string[]): Promise<readonly NamedRun[]> {
  const names = distinctNames(folders);
  const runs: NamedRun[] = [];
  for (const [i, folder] of folders.entries()) runs.push(await readRun(folder, names[i]!));
  for (const run of runs.slice(1)) requireSameQuestions(runs[0]!, run);
  return runs;
}

async function readRun(folder: string, name: string): Promise<NamedRun> {
  const record = await recordOf(folder);
  const answers = (await answersOf(folder)).filter(
    ({ question: { right } }) => right !== undefined,
  );
  const questions = new Map((await readQuestions(folder)).map((one) => [one.key, one]));
  if (answers.length === 0)
    throw new SpatialError({
      code: 'DATA_INVALID',
      message: `${folder}: expected answers with known right answers, found none`,
      hint: 'Explain an evaluation whose benchmark gives the right answers.',
    });
  if (!answers.every(({ key }) => questions.has(key)))
    throw new SpatialError({
      code: 'FILE_MISSING',
      message: `${join(folder, QUESTIONS_FILE)}: expected a line for each of ${answers.length} questions, found ${questions.size}`,
      hint: 'Run the same `spatialsv eval` command again: it writes the file and asks nothing that is answered.',
    });
  return { name, folder, record, answers, questions };
}

/** The last part of each path, with the one above it where that is needed. */
function distinctNames(folders: readonly string[]): readonly string[] {
  const paths = folders.map((folder) => resolve(folder));
  const twice = paths.find((path, i) => paths.indexOf(path) !== i);
  if (twice !== undefined)
    throw new SpatialError({
      code: 'USAGE',
      message: `explain: ${twice} is named twice`,
      hint: 'Name each run folder once.',
    });
  const isDistinct = (names: readonly string[]) => new Set(names).size === names.length;
  const short = paths.map((path) => basename(path));
  if (isDistinct(short)) return short;
  const longer = paths.map((path) => join(basename(dirname(path)), basename(path)));
  return isDistinct(longer) ? longer : paths;
}

function requireSameQuestions(first: NamedRun, other: NamedRun): void {
  const told = ({ record: { benchmark, variant }, answers }: NamedRun) =>
    `${answers.length} questions of ${benchmark} (${variant})`;
  const keys = new Set(first.answers.map(({ key }) => key));
  const shared = other.answers.filter(({ key }) => keys.has(key)).length;
  const isSame =
    first.record.benchmark === other.record.benchmark &&
    first.record.variant === other.record.variant &&
    shared === first.answers.length &&
    shared === other.answers.length;
  if (isSame) return;
  throw new SpatialError({
    code: 'USAGE',
    message: `${other.folder}: ${told(other)}; ${first.folder}: ${told(first)}; ${shared} are the same`,
    hint: 'Explain finished runs of one benchmark, variant and files together; merge shards first.',
  });
}
