import { join } from 'node:path';
import { readText, SpatialError } from '@spatialsv/core';
import {
  EVALUATION_FILE,
  type EvaluationIdentity,
  type EvaluationResults,
  RESULTS_FILE,
} from '@spatialsv/eval';

/** What an evaluation says of a model. */
export interface ModelAccuracy {
  readonly run: string;
  readonly benchmark: string;
  readonly accuracy: number;
  /** Wilson interval, 95 %; null for a score that is no accuracy. */
  readonly interval: readonly [number, number] | null;
  readonly questions: number;
  /** SHA-256 of the weights that answered. */
  readonly weights: string;
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
  const results = await readJson<EvaluationResults>(run, RESULTS_FILE);
  const { name, value, total, unit } = results.overall ?? {};
  if (typeof value !== 'number' || unit === 'error' || unit === 'count')
    throw noEvaluation(join(run, RESULTS_FILE));
  const { weights } = await readJson<EvaluationIdentity>(run, EVALUATION_FILE);
  if (typeof weights !== 'string') throw noEvaluation(join(run, EVALUATION_FILE));
  const interval = results.intervals?.[name] ?? null;
  const { benchmark } = results;
  return { run, benchmark, accuracy: value, interval, questions: total, weights };
}

async function readJson<Content>(run: string, name: string): Promise<Content> {
  const file = join(run, name);
  const text = await readText(file);
  try {
    return JSON.parse(text) as Content;
  } catch {
    throw noEvaluation(file);
  }
}

const noEvaluation = (file: string): SpatialError =>
  new SpatialError({
    code: 'FILE_INVALID',
    message: `${file}: expected that of an evaluation with an accuracy, found something else`,
    hint: `Name the --out folder of a finished \`spatialsv eval\`, which holds ${EVALUATION_FILE} and ${RESULTS_FILE}.`,
  });

/** @throws SpatialError DATA_INVALID for an evaluation of other weights than those of the model. */
export function requireSameWeights(
  accuracy: ModelAccuracy | undefined,
  model: string,
  weights: string,
): void {
  if (accuracy === undefined || accuracy.weights === weights) return;
  const short = (hash: string) => hash.slice(0, 12);
  throw new SpatialError({
    code: 'DATA_INVALID',
    message: `--evaluation ${accuracy.run}: expected answers of ${model} (weights ${short(weights)}), found those of weights ${short(accuracy.weights)}`,
    hint: 'Give the evaluations in the order of the models, each of the same checkpoint.',
  });
}
