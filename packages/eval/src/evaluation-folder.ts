import { createHash } from 'node:crypto';
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import {
  canonicalJson,
  readLines,
  readTextIfThere,
  recoverFolders,
  type SampleV1,
  SpatialError,
  writeFileAtomic,
} from '@spatialsv/core';
import { z } from 'zod';
import type { EvaluationFolder } from './evaluate.js';
import type { Prediction } from './report.js';

/** Name of the prediction log in a run folder. */
export const PREDICTIONS_FILE = 'predictions.jsonl';
/** Name of what was counted, in a run folder. */
export const RESULTS_FILE = 'results.json';
/** What the answers of a run folder depend on. */
export const EVALUATION_FILE = 'evaluation.json';

/** What answers depend on beside the questions: two evaluations with equal identities give equal answers. JSON. */
export interface EvaluationIdentity {
  /** SHA-256 of the weights, see `hashWeights` of core. */
  readonly weights: string;
  /** SHA-256 of what makes a prompt of a question: configuration, tokenizer and chat template of the checkpoint. */
  readonly prompt: string;
  /** Adapter, benchmark, length of answers, sizes of views and whatever else changes an answer. */
  readonly settings: Readonly<Record<string, unknown>>;
  readonly versions: Readonly<Record<string, string>>;
}

const identitySchema = z.object({
  version: z.literal(1),
  weights: z.string(),
  prompt: z.string(),
  settings: z.record(z.string(), z.unknown()),
  versions: z.record(z.string(), z.string()),
});

const predictionSchema = z.object({
  id: z.string(),
  category: z.string(),
  gold: z.string(),
  letters: z.array(z.string()),
  raw: z.string(),
  extracted: z.string().nullable(),
  /** Of the question, see `questionKeys`. */
  key: z.string(),
});

type StoredPrediction = z.output<typeof predictionSchema>;

interface Questions {
  readonly samples: readonly SampleV1[];
  readonly keys: readonly string[];
}

/**
 * Opens a run folder whose lock is held.
 * @returns the answers that it has, in the order of the questions.
 * @throws SpatialError USAGE when they are those of another evaluation.
 */
export async function openEvaluationFolder(
  { path, identity, overwrite = false }: EvaluationFolder,
  questions: Questions,
): Promise<readonly Prediction[]> {
  await recoverFolders(path);
  if (overwrite)
    for (const name of [RESULTS_FILE, PREDICTIONS_FILE])
      await rm(join(path, name), { force: true });
  const known = await readPredictions(path);
  if (known.length > 0) {
    requireSameIdentity(path, await readIdentity(path), identity);
    requireSameQuestions(path, known, questions);
  }
  const data = { samples: questions.keys.length, sha256: sha256(questions.keys.join('\n')) };
  const record = { version: 1, ...identity, data };
  await writeFileAtomic(join(path, EVALUATION_FILE), `${JSON.stringify(record, null, 2)}\n`);
  // Without what a crash has left of a line.
  const lines = known.map((prediction) => `${JSON.stringify(prediction)}\n`);
  await writeFileAtomic(join(path, PREDICTIONS_FILE), lines.join(''));
  return known.map(({ key: _, ...prediction }) => prediction);
}

const sha256 = (text: string): string => createHash('sha256').update(text).digest('hex');

/** Answers up to a line that a crash has cut or that the disk has lost: what follows is asked again. */
async function readPredictions(folder: string): Promise<readonly StoredPrediction[]> {
  const predictions: StoredPrediction[] = [];
  for (const line of await readLines(join(folder, PREDICTIONS_FILE))) {
    const prediction = parseJson(line, predictionSchema);
    if (prediction === undefined) break;
    predictions.push(prediction);
  }
  return predictions;
}

async function readIdentity(folder: string): Promise<EvaluationIdentity | undefined> {
  return parseJson((await readTextIfThere(join(folder, EVALUATION_FILE))) ?? '', identitySchema);
}

function parseJson<Schema extends z.ZodType>(
  text: string,
  schema: Schema,
): z.output<Schema> | undefined {
  try {
    return schema.parse(JSON.parse(text));
  } catch {
    return undefined;
  }
}

function requireSameIdentity(
  folder: string,
  was: EvaluationIdentity | undefined,
  is: EvaluationIdentity,
): void {
  if (was === undefined) throw otherEvaluation(folder, `${EVALUATION_FILE} is missing or damaged`);
  const before = flatten(was);
  const now = flatten(is);
  const names = [...new Set([...Object.keys(before), ...Object.keys(now)])];
  const changed = names.filter((name) => before[name] !== now[name]);
  if (changed.length === 0) return;
  const describe = (name: string) =>
    `${name} was ${before[name] ?? 'absent'}, is ${now[name] ?? 'absent'}`;
  throw otherEvaluation(folder, changed.map(describe).join('; '));
}

/** JSON texts by name: `weights`, `settings.maxNewTokens`. */
function flatten({ weights, prompt, settings, versions }: EvaluationIdentity) {
  const inner = (prefix: string, values: Readonly<Record<string, unknown>>) =>
    Object.entries(values)
      .filter(([, value]) => value !== undefined)
      .map(([name, value]) => [`${prefix}.${name}`, canonicalJson(value)] as const);
  return Object.fromEntries([
    ['weights', weights],
    ['prompt', prompt],
    ...inner('settings', settings),
    ...inner('versions', versions),
  ]) as Readonly<Record<string, string | undefined>>;
}

/** The answers of a log are those to the first questions, in order. */
function requireSameQuestions(
  folder: string,
  known: readonly StoredPrediction[],
  { samples, keys }: Questions,
): void {
  const count = Math.min(known.length, keys.length);
  const changed = keys.findIndex((key, index) => index < count && key !== known[index]!.key);
  if (changed < 0) return;
  const [was, is] = [known[changed]!.id, samples[changed]!.id];
  const what =
    was === is
      ? `question ${changed + 1} ('${is}') has another text, other options or other images`
      : `question ${changed + 1} was '${was}', is '${is}'`;
  throw otherEvaluation(folder, what);
}

const otherEvaluation = (folder: string, what: string): SpatialError =>
  new SpatialError({
    code: 'USAGE',
    message: `${folder}: holds answers of another evaluation: ${what}`,
    hint: 'Choose another --out folder, or add --overwrite to forget those answers and ask again.',
  });
