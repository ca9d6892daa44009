import { existsSync } from 'node:fs';
import { basename, join, resolve } from 'node:path';
import { readTextIfThere, SpatialError } from '@spatialsv/core';
import {
  type Answer,
  answersOf,
  type EvaluationRecord,
  type EvaluationResults,
  RESULTS_FILE,
  type RecordedQuestion,
  readQuestions,
  recordOf,
} from '@spatialsv/eval';
import {
  liftFacts,
  type PageAnswer,
  type PageFact,
  type PageQuestion,
  type Report,
  type ReportScene,
  readLift,
} from '@spatialsv/inspect';
import { liftFile } from '../lifts/lift-questions.js';

/** An evaluation as a report needs it. */
interface Run {
  readonly folder: string;
  readonly name: string;
  readonly record: EvaluationRecord;
  readonly answers: ReadonlyMap<string, Answer>;
  readonly questions: ReadonlyMap<string, RecordedQuestion>;
  readonly results: EvaluationResults | undefined;
}

/** How many runs stand beside each other. */
export const MOST_RUNS = 2;

/**
 * The report of an evaluation, or of two of the same questions beside each other.
 * @param folders run folders of `spatialsv eval`.
 * @throws SpatialError FILE_MISSING for a folder that is no evaluation, USAGE for two without a question in common.
 */
export async function evaluationReport(folders: readonly string[]): Promise<Report> {
  const runs = await Promise.all(folders.map(readRun));
  const [first, second] = runs as [Run, Run | undefined];
  if (second !== undefined && ![...first.answers.keys()].some((key) => second.answers.has(key)))
    throw new SpatialError({
      code: 'USAGE',
      message: `${second.folder}: none of its questions is one of ${first.folder}`,
      hint: 'Show runs over the same benchmark, variant and files beside each other.',
    });
  const names = namesOf(runs);
  const questions: PageQuestion[] = [];
  for (const key of keysInOrder(runs)) questions.push(await pageQuestion(key, runs));
  return {
    title: names.join(' and '),
    subtitle: `${first.record.benchmark}, ${first.record.variant}; ${questions.length} questions`,
    ...(questions.every(({ scene }) => scene === undefined) && { notice: NO_LIFTS }),
    runs: runs.map((run, i) => ({ name: names[i]!, facts: factsOf(run) })),
    questions,
    files: [],
    sceneKeys: [...new Set(questions.flatMap(({ scene }) => scene ?? []))],
    scene: (key) => readScene(key, runs),
  };
}

const NO_LIFTS =
  'No views are shown: nothing was lifted. The same `spatialsv eval` command with --lift adds them, for a checkpoint with 3D heads.';

async function readRun(folder: string): Promise<Run> {
  const record = await recordOf(folder);
  const byKey = <Item extends { readonly key: string }>(items: readonly Item[]) =>
    new Map(items.map((item) => [item.key, item]));
  const results = await readTextIfThere(join(folder, RESULTS_FILE));
  return {
    folder,
    name: basename(resolve(folder)),
    record,
    answers: byKey(await answersOf(folder)),
    questions: byKey(await readQuestions(folder)),
    results: results === undefined ? undefined : parseResults(folder, results),
  };
}

function parseResults(folder: string, text: string): EvaluationResults {
  try {
    return JSON.parse(text) as EvaluationResults;
  } catch (cause) {
    throw new SpatialError({
      code: 'FILE_INVALID',
      message: `${join(folder, RESULTS_FILE)}: expected JSON`,
      hint: 'The same `spatialsv eval` command writes the file again.',
      cause,
    });
  }
}

/** Two runs of one name are told apart by their numbers. */
const namesOf = (runs: readonly Run[]): string[] =>
  runs.map(({ name }, i) =>
    runs.some((other, j) => j !== i && other.name === name) ? `${name} (${i + 1})` : name,
  );

/** Keys of all questions, in the order in which they were asked; those of the first run before others of the second. */
function keysInOrder(runs: readonly Run[]): readonly string[] {
  const keys = runs.flatMap(({ answers }) =>
    [...answers.values()].toSorted((a, b) => a.index - b.index).map(({ key }) => key),
  );
  return [...new Set(keys)];
}

async function pageQuestion(key: string, runs: readonly Run[]): Promise<PageQuestion> {
  const { question } = runs.find(({ answers }) => answers.has(key))!.answers.get(key)!;
  const recorded = runs.map(({ questions }) => questions.get(key)).find(Boolean);
  const views = recorded?.views;
  const answers: (PageAnswer | null)[] = [];
  for (const run of runs) answers.push(await pageAnswer(run, key, views));
  const isLifted =
    views !== undefined && runs.some((run) => existsSync(liftFile(run.folder, views)));
  return {
    id: question.id,
    category: question.category,
    text: recorded?.text ?? '',
    options: question.options ?? [],
    ...(question.right && { expected: question.right.value }),
    answers,
    ...(isLifted && { scene: views }),
  };
}

async function pageAnswer(
  { folder, answers }: Run,
  key: string,
  views: string | undefined,
): Promise<PageAnswer | null> {
  const answer = answers.get(key);
  if (answer === undefined) return null;
  const { raw, extracted, score, question } = answer;
  const facts = views === undefined ? undefined : await liftFacts(liftFile(folder, views));
  const depthRmse = facts?.metrics?.depthRmse;
  return {
    text: raw,
    read: extracted,
    ...(question.right && { score }),
    ...(depthRmse !== undefined && { depthRmse }),
  };
}

async function readScene(views: string, runs: readonly Run[]): Promise<ReportScene> {
  const lifts = await Promise.all(
    runs.map(({ folder }) => {
      const file = liftFile(folder, views);
      return existsSync(file) ? readLift(file) : undefined;
    }),
  );
  const found = lifts.filter((lift) => lift !== undefined);
  const labels = found.find((lift) => lift.labels !== undefined)?.labels;
  return {
    photos: found[0]?.photos ?? [],
    predictions: lifts.map((lift) => lift && { maps: lift.predictions }),
    ...(labels && { labels }),
  };
}

function factsOf({ folder, record, results, answers }: Run): PageFact[] {
  const { settings, versions, weights } = record;
  const overall = results?.overall;
  const value = (fact: unknown) => (typeof fact === 'string' ? fact : JSON.stringify(fact));
  return [
    { name: 'Run', value: folder },
    { name: 'Benchmark', value: `${record.benchmark}, ${record.variant}` },
    ...(overall === undefined ? [] : [{ name: overall.name, value: figureOf(overall) }]),
    { name: 'Answers', value: `${answers.size} of ${record.data.questions}` },
    { name: 'Weights (SHA-256)', value: weights },
    ...Object.entries(settings).map(([name, fact]) => ({ name, value: value(fact) })),
    ...Object.entries(versions).map(([name, fact]) => ({ name, value: fact })),
  ];
}

function figureOf({ unit, value, correct, total }: EvaluationResults['overall']): string {
  if (unit === 'error') return value.toPrecision(4);
  if (unit === 'count') return `${value} of ${total}`;
  const percent = `${(100 * value).toFixed(1)} %`;
  return correct === undefined ? percent : `${percent} (${correct} of ${total})`;
}
