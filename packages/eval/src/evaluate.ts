import { appendFile, mkdir, readFile, truncate } from 'node:fs/promises';
import { join } from 'node:path';
import { type SampleV1, SpatialError } from '@spatialsv/core';
import type { Prediction } from './report.js';

export interface EvaluateOptions {
  readonly samples: readonly SampleV1[];
  /** Says what the model answers. */
  readonly answer: (sample: SampleV1) => Promise<string>;
  /** Reads the letter out of an answer. */
  readonly extract: (sample: SampleV1, text: string) => string | undefined;
  /** Folder of `predictions.jsonl`; answers found there are not asked again. */
  readonly out?: string;
  readonly onProgress?: (done: number, total: number) => void;
  readonly signal?: AbortSignal;
}

/** Name of the prediction log in a run folder. */
export const PREDICTIONS_FILE = 'predictions.jsonl';

/**
 * Asks every question once. Each answer is appended to the log as it comes, so an interrupted run continues.
 * @returns one prediction per sample, in order.
 * @throws SpatialError DATA_INVALID for a sample without a multiple-choice question.
 */
export async function evaluate(options: EvaluateOptions): Promise<readonly Prediction[]> {
  const { samples, out } = options;
  for (const sample of samples) requireChoice(sample);
  const log = out === undefined ? undefined : join(out, PREDICTIONS_FILE);
  if (out !== undefined) await mkdir(out, { recursive: true });
  const known = log === undefined ? new Map<string, Prediction>() : await readPredictions(log);
  const predictions: Prediction[] = [];
  for (const sample of samples) {
    options.signal?.throwIfAborted();
    const found = known.get(sample.id);
    const prediction = found ?? (await predict(options, sample));
    if (found === undefined && log !== undefined) await appendFile(log, lineOf(prediction));
    predictions.push(prediction);
    options.onProgress?.(predictions.length, samples.length);
  }
  return predictions;
}

/** Answers by sample id; a half-written last line (the process was killed) is cut off the file. */
export async function readPredictions(path: string): Promise<Map<string, Prediction>> {
  const bytes = await readFile(path).catch(() => Buffer.alloc(0));
  const end = bytes.lastIndexOf('\n') + 1;
  if (end < bytes.length) await truncate(path, end);
  const lines = bytes.subarray(0, end).toString('utf8').split('\n');
  const rows = lines.filter((line) => line !== '').map((line) => JSON.parse(line) as Prediction);
  return new Map(rows.map((row) => [row.id, row]));
}

async function predict(options: EvaluateOptions, sample: SampleV1): Promise<Prediction> {
  const raw = await options.answer(sample);
  return {
    id: sample.id,
    category: sample.category ?? 'all',
    gold: sample.answerLetter!,
    letters: Object.keys(sample.options!),
    raw,
    extracted: options.extract(sample, raw) ?? null,
  };
}

const lineOf = (prediction: Prediction): string => `${JSON.stringify(prediction)}\n`;

function requireChoice(sample: SampleV1): void {
  if (sample.question !== undefined && sample.options && sample.answerLetter !== undefined) return;
  throw new SpatialError({
    code: 'DATA_INVALID',
    message: `sample '${sample.id}': expected a question with options and a right letter to score`,
    hint: 'Evaluate on labelled multiple-choice questions; samples without them can only train.',
  });
}
