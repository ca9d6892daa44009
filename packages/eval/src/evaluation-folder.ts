import { createHash } from 'node:crypto';
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import {
  canonicalJson,
  readLines,
  readTextIfThere,
  recoverFolders,
  SpatialError,
  writeFileAtomic,
} from '@spatialsv/core';
import { z } from 'zod';
import type { Answer, Protocol } from './answers.js';

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

/** In the order in which answers are written. */
const answerSchema = z.object({
  index: z.number().int().min(0),
  key: z.string(),
  raw: z.string(),
  question: z.object({
    id: z.string(),
    category: z.string(),
    group: z.string().optional(),
    scene: z.string().optional(),
    options: z.array(z.object({ letter: z.string(), text: z.string() })).optional(),
    right: z
      .object({ kind: z.enum(['letter', 'yes-no', 'text', 'number']), value: z.string() })
      .optional(),
    details: z.record(z.string(), z.unknown()).optional(),
  }),
  extracted: z.string().nullable(),
  score: z.number(),
});

/** What is written down of an evaluation, beside its answers. */
const recordSchema = identitySchema.extend({
  benchmark: z.string(),
  variant: z.string(),
  data: z.object({
    /** Questions of the whole benchmark. */
    questions: z.number().int(),
    /** Of the keys of those that this run asks. */
    sha256: z.string(),
  }),
  shard: z.object({ index: z.number().int(), count: z.number().int() }).optional(),
  origin: z.string().optional(),
});

export type EvaluationRecord = z.output<typeof recordSchema>;

/** What of a question has to be the same. */
interface Asked {
  readonly index: number;
  readonly key: string;
  readonly question: { readonly id: string };
}

interface Questions extends Protocol {
  readonly questions: readonly unknown[];
  readonly shard?: EvaluationRecord['shard'] | undefined;
}

export interface EvaluationFolder {
  readonly path: string;
  /** What the answers depend on, beside the questions. */
  readonly identity: EvaluationIdentity;
  /**
   * Hash of what the identity was made from: who comes with the same one again need not make it, see `finishedEvaluation`.
   */
  readonly origin?: string | undefined;
  /** Forget the answers of another evaluation, instead of refusing the folder. */
  readonly overwrite?: boolean;
}

/**
 * Opens a run folder whose lock is held.
 * @returns the answers that it has, by the place of the question.
 * @throws SpatialError USAGE when they are those of another evaluation.
 */
export async function openEvaluationFolder(
  { path, identity, origin, overwrite = false }: EvaluationFolder,
  { benchmark, variant, questions, shard }: Questions,
  asked: readonly Asked[],
): Promise<ReadonlyMap<number, Answer>> {
  await recoverFolders(path);
  if (overwrite) await forgetAnswers(path);
  const known = await readAnswers(path);
  const settings = { benchmark: benchmark.id, variant, shard };
  if (known.size > 0) {
    requireSameIdentity(path, await identityBefore(path), {
      ...identity,
      settings: { ...identity.settings, ...settings },
    });
    requireSameQuestions(path, known, asked);
  }
  const data = {
    questions: questions.length,
    sha256: sha256(asked.map(({ key }) => key).join('\n')),
  };
  const record = {
    ...{ version: 1, benchmark: benchmark.id, variant, ...identity, data },
    ...(shard && { shard }),
    ...(origin !== undefined && { origin }),
  };
  await writeFileAtomic(join(path, EVALUATION_FILE), `${JSON.stringify(record, null, 2)}\n`);
  // Without what a crash has left of a line.
  const lines = [...known.values()].map((answer) => `${JSON.stringify(answer)}\n`);
  await writeFileAtomic(join(path, PREDICTIONS_FILE), lines.join(''));
  return known;
}

async function forgetAnswers(path: string): Promise<void> {
  for (const name of [RESULTS_FILE, PREDICTIONS_FILE]) await rm(join(path, name), { force: true });
}

/** What the answers of a folder depend on, benchmark and shard included. */
async function identityBefore(path: string): Promise<EvaluationIdentity | undefined> {
  const record = await readRecord(path);
  if (record === undefined) return undefined;
  const { benchmark, variant, shard } = record;
  return { ...record, settings: { ...record.settings, benchmark, variant, shard } };
}

const sha256 = (text: string): string => createHash('sha256').update(text).digest('hex');

/** Answers of a run folder by the place of their question. What a crash or the disk has spoilt of a line is left out. */
export async function readAnswers(folder: string): Promise<ReadonlyMap<number, Answer>> {
  const answers = new Map<number, Answer>();
  for (const line of await readLines(join(folder, PREDICTIONS_FILE))) {
    const answer = parseJson(line, answerSchema) as Answer | undefined;
    if (answer !== undefined && !answers.has(answer.index)) answers.set(answer.index, answer);
  }
  return answers;
}

/** What a run folder says of its evaluation; undefined where it is missing or damaged. */
export async function readRecord(folder: string): Promise<EvaluationRecord | undefined> {
  return parseJson((await readTextIfThere(join(folder, EVALUATION_FILE))) ?? '', recordSchema);
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

/** Every answer of the log is one to a question that is asked now. */
function requireSameQuestions(
  folder: string,
  known: ReadonlyMap<number, Answer>,
  asked: readonly Asked[],
): void {
  const byIndex = new Map(asked.map((each) => [each.index, each]));
  for (const [index, { key, question }] of known) {
    const now = byIndex.get(index);
    if (now === undefined || now.key === key) continue;
    const what =
      question.id === now.question.id
        ? `question ${index + 1} ('${now.question.id}') has another text, other options or other images`
        : `question ${index + 1} was '${question.id}', is '${now.question.id}'`;
    throw otherEvaluation(folder, what);
  }
}

const otherEvaluation = (folder: string, what: string): SpatialError =>
  new SpatialError({
    code: 'USAGE',
    message: `${folder}: holds answers of another evaluation: ${what}`,
    hint: 'Choose another --out folder, or add --overwrite to forget those answers and ask again.',
  });
