import { join } from 'node:path';
import { readText, SpatialError } from '@spatialsv/core';
import { EVALUATION_FILE, type EvaluationResults, RESULTS_FILE } from '@spatialsv/eval';

/** What an evaluation says of a model. */
export interface ModelAccuracy {
  readonly run: string;
  readonly benchmark: string;
  readonly accuracy: number;
  /** Wilson interval, 95 %; null for a score that is no accuracy. */
  readonly interval: readonly [number, number] | null;
  readonly questions: number;
}

/**
 * Reads the evaluations of models, in their order.
 * @throws SpatialError USAGE unless there are as many as models, or none; FILE_MISSING | FILE_INVALID for a folder that holds no
 *   finished evaluation.
 */
export async function readAccuracies(
  runs: readonly string[] = [],
  models: readonly string[],
): Promise<readonly (ModelAccuracy | undefined)[]> {
  if (runs.length === 0) return models.map(() => undefined);
  if (runs.length !== models.length)
    throw new SpatialError({
      code: 'USAGE',
      message: `--evaluation: expected one for each --model (${models.length}), found ${runs.length}`,
      hint: 'Repeat --evaluation in the order of --model, or leave it out.',
    });
  return Promise.all(runs.map(readAccuracy));
}

async function readAccuracy(run: string): Promise<ModelAccuracy> {
  const file = join(run, RESULTS_FILE);
  const text = await readText(file);
  const results = parse(text, file);
  const { name, value, total } = results.overall;
  const interval = results.intervals[name] ?? null;
  return { run, benchmark: results.benchmark, accuracy: value, interval, questions: total };
}

function parse(text: string, file: string): EvaluationResults {
  try {
    const results = JSON.parse(text) as EvaluationResults;
    const { value, unit } = results.overall;
    if (typeof value === 'number' && unit !== 'error') return results;
  } catch {}
  throw new SpatialError({
    code: 'FILE_INVALID',
    message: `${file}: expected the results of an evaluation with an accuracy, found something else`,
    hint: `Name the --out folder of a finished \`spatialsv eval\`, which holds ${EVALUATION_FILE} and ${RESULTS_FILE}.`,
  });
}
