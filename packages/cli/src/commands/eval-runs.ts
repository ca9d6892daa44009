import { copyFile, mkdir } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { listIfThere, SpatialError, writeFileAtomic } from '@spatialsv/core';
import {
  answersOf,
  type Comparison,
  compareRuns,
  EVALUATION_FILE,
  evaluationResults,
  mergeEvaluations,
  PREDICTIONS_FILE,
  RESULTS_FILE,
  readQuestions,
  recordOf,
  verifyEvaluation,
  writeRecordedQuestions,
} from '@spatialsv/eval';
import { protocolOf } from '../benchmark.js';
import { composePlugins } from '../composition.js';
import type { CommandContext } from '../context.js';
import { LIFTS_FOLDER } from '../lifts/lift-questions.js';
import { type TableFormat, tableIn } from '../table-formats.js';
import { formatEvaluation } from './format-evaluation.js';

/** Discrepancies that are named one by one. */
const NAMED = 20;

/** Scores the outputs of a run folder again. @throws SpatialError FILE_INVALID where a number is not what they give. */
export async function verifyRun(
  run: string,
  json: boolean,
  context: CommandContext,
): Promise<void> {
  const record = await recordOf(run);
  const plugins = await composePlugins(context.folder);
  const protocol = protocolOf(plugins, record.benchmark, record.variant);
  const discrepancies = await verifyEvaluation(run, protocol);
  const answers = (await answersOf(run)).length;
  if (json) context.out(`${JSON.stringify({ run, answers, discrepancies })}\n`);
  if (discrepancies.length === 0) {
    if (!json) context.out(`${run}: every number follows from its ${answers} outputs\n`);
    return;
  }
  const shown = discrepancies
    .slice(0, NAMED)
    .map(
      ({ where, stored, found }) =>
        `  ${where}: written ${JSON.stringify(stored)}, found ${JSON.stringify(found)}`,
    );
  throw new SpatialError({
    code: 'FILE_INVALID',
    message: `${run}: ${discrepancies.length} numbers do not follow from the outputs\n${shown.join('\n')}`,
    hint: 'Files were changed after the run, or it is of another version: evaluate again into a new folder.',
  });
}

export interface MergeOptions {
  readonly out: string;
  readonly seed: number;
  readonly json: boolean;
}

export async function mergeRuns(
  runs: readonly string[],
  { out, seed, json }: MergeOptions,
  context: CommandContext,
): Promise<void> {
  const { record, answers } = await mergeEvaluations(runs);
  const plugins = await composePlugins(context.folder);
  const protocol = protocolOf(plugins, record.benchmark, record.variant);
  const results = evaluationResults(protocol, answers, seed);
  await mkdir(out, { recursive: true });
  const write = (name: string, text: string) => writeFileAtomic(join(out, name), text);
  await write(EVALUATION_FILE, `${JSON.stringify(record, null, 2)}\n`);
  await write(PREDICTIONS_FILE, answers.map((answer) => `${JSON.stringify(answer)}\n`).join(''));
  const questions = (await Promise.all(runs.map(readQuestions))).flat();
  const byIndex = new Map(questions.map((question) => [question.index, question]));
  await writeRecordedQuestions(
    out,
    [...byIndex.values()].toSorted((a, b) => a.index - b.index),
  );
  await copyLifts(runs, out);
  await write(RESULTS_FILE, `${JSON.stringify(results, null, 2)}\n`);
  context.out(json ? `${JSON.stringify(results)}\n` : formatEvaluation(protocol, results));
}

/** Shards may have lifted the same views: those of one are enough. */
async function copyLifts(runs: readonly string[], out: string): Promise<void> {
  for (const run of runs) {
    for (const name of await listIfThere(join(run, LIFTS_FOLDER))) {
      await mkdir(join(out, LIFTS_FOLDER), { recursive: true });
      await copyFile(join(run, LIFTS_FOLDER, name), join(out, LIFTS_FOLDER, name));
    }
  }
}

export type ComparisonFormat = TableFormat | 'json';

export async function compareEvaluations(
  runs: readonly string[],
  { format, seed }: { readonly format: ComparisonFormat; readonly seed: number },
  context: CommandContext,
): Promise<void> {
  const compared = await Promise.all(
    runs.map(async (run) => ({ name: basename(run), answers: await answersOf(run) })),
  );
  const comparisons = compareRuns(compared, seed);
  if (format === 'json') {
    context.out(`${JSON.stringify({ first: runs[0], comparisons })}\n`);
    return;
  }
  const rows = [HEAD, ...comparisons.map((comparison) => rowOf(compared[0]!.name, comparison))];
  context.out(tableIn(format, rows));
}

const HEAD = [
  'FIRST',
  'SECOND',
  'QUESTIONS',
  'FIRST %',
  'SECOND %',
  'DIFFERENCE',
  '95 %',
  'LOST',
  'GAINED',
  'P (MCNEMAR)',
];

const rowOf = (first: string, { name, questions, interval, mcNemar, ...means }: Comparison) => {
  const percent = (value: number) => (100 * value).toFixed(1);
  return [
    first,
    name,
    String(questions),
    percent(means.first),
    percent(means.second),
    percent(means.difference),
    interval.map(percent).join(' to '),
    String(mcNemar.lost),
    String(mcNemar.gained),
    mcNemar.pValue < 1e-4 ? mcNemar.pValue.toExponential(1) : mcNemar.pValue.toFixed(4),
  ];
};
