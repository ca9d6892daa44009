import { createHash } from 'node:crypto';
import {
  appendLine,
  canonicalJson,
  hashFile,
  lockFolder,
  type SampleV1,
  SpatialError,
  withCleanup,
} from '@spatialsv/core';
import {
  type EvaluationIdentity,
  openEvaluationFolder,
  PREDICTIONS_FILE,
} from './evaluation-folder.js';
import type { Prediction } from './report.js';

export interface EvaluateOptions {
  readonly samples: readonly SampleV1[];
  /** Says what the model answers. */
  readonly answer: (sample: SampleV1) => Promise<string>;
  /** Reads the letter out of an answer. */
  readonly extract: (sample: SampleV1, text: string) => string | undefined;
  /** Where answers are kept; those that are there already are not asked again. */
  readonly folder?: EvaluationFolder | undefined;
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

/**
 * Asks every question once. Each answer is appended to the log as it comes, so an interrupted run continues; the folder
 * belongs to one process at a time.
 * @returns one prediction per sample, in order.
 * @throws SpatialError DATA_INVALID for a sample without a multiple-choice question; USAGE when the folder holds answers of
 *   another model, of other settings or to other questions, or when another process writes to it; FILE_MISSING,
 *   FILE_INVALID.
 */
export async function evaluate(options: EvaluateOptions): Promise<readonly Prediction[]> {
  const { samples, folder } = options;
  for (const sample of samples) requireChoice(sample);
  const keys = folder === undefined ? [] : await questionKeys(samples);
  if (folder === undefined) return askAll(options, keys, []);
  const lock = await lockFolder(folder.path, 'eval');
  const work = async () =>
    askAll(options, keys, await openEvaluationFolder(folder, { samples, keys }));
  return withCleanup(work, () => lock.release());
}

async function askAll(
  { folder, ...options }: EvaluateOptions,
  keys: readonly string[],
  known: readonly Prediction[],
): Promise<readonly Prediction[]> {
  const { samples, signal, onProgress } = options;
  const predictions: Prediction[] = [];
  for (const [index, sample] of samples.entries()) {
    signal?.throwIfAborted();
    const prediction = known[index] ?? (await predict(options, sample));
    if (folder !== undefined && known[index] === undefined)
      await appendLine(
        `${folder.path}/${PREDICTIONS_FILE}`,
        JSON.stringify({ ...prediction, key: keys[index] }),
      );
    predictions.push(prediction);
    onProgress?.(predictions.length, samples.length);
  }
  return predictions;
}

/**
 * What each question is: SHA-256 of its id, texts, options, right letter, category and images. Equal for equal content in
 * any folder.
 * @throws SpatialError FILE_MISSING | FILE_INVALID for an image.
 */
export async function questionKeys(samples: readonly SampleV1[]): Promise<readonly string[]> {
  // Views are shared by questions: each file is read once.
  const hashes = new Map<string, string>();
  for (const path of samples.flatMap(({ images }) => images))
    if (!hashes.has(path)) hashes.set(path, await hashFile(path));
  return samples.map(({ images, id, question, system, options, answerLetter, category }) => {
    const imageHashes = images.map((path) => hashes.get(path)!);
    const content = { id, question, system, options, answerLetter, category, imageHashes };
    return createHash('sha256').update(canonicalJson(content)).digest('hex');
  });
}

async function predict(
  { answer, extract }: Pick<EvaluateOptions, 'answer' | 'extract'>,
  sample: SampleV1,
): Promise<Prediction> {
  const raw = await answer(sample);
  return {
    id: sample.id,
    category: sample.category ?? 'all',
    gold: sample.answerLetter!,
    letters: Object.keys(sample.options!),
    raw,
    extracted: extract(sample, raw) ?? null,
  };
}

function requireChoice(sample: SampleV1): void {
  if (sample.question !== undefined && sample.options && sample.answerLetter !== undefined) return;
  throw new SpatialError({
    code: 'DATA_INVALID',
    message: `sample '${sample.id}': expected a question with options and a right letter to score`,
    hint: 'Evaluate on labelled multiple-choice questions; samples without them can only train.',
  });
}
