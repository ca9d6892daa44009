import { basename, join, resolve } from 'node:path';
import { listIfThere, readTextIfThere, SpatialError } from '@spatialsv/core';
import { type PageQuestion, type PageTraining, type Report, readLift } from '@spatialsv/inspect';
import { readMetrics, type StepMetrics } from '@spatialsv/train';

/** Folder of a training run in which the watched views lie, by step. */
export const WATCH_FOLDER = 'watch';
/** What is watched, in that folder. */
export const WATCH_FILE = 'samples.json';

/** A watched sample, as `watch/samples.json` has it. */
export interface WatchedSample {
  readonly id: string;
  readonly category: string;
  readonly question: string;
  /** Names its lift in the folder of each step. */
  readonly views: string;
}

const isSample = (value: unknown): value is WatchedSample =>
  (['id', 'category', 'question', 'views'] as const).every(
    (name) => typeof (value as WatchedSample | null)?.[name] === 'string',
  );

/** Where the lift of a watched sample lies. */
export const watchedFile = (run: string, step: number, views: string): string =>
  join(run, WATCH_FOLDER, `step-${step}`, `${views}.safetensors`);

/**
 * The report of a training run as it is now: its losses, and its watched views at every step at which they were lifted.
 * @param run run folder of `spatialsv train`.
 */
export async function trainingReport(run: string): Promise<Report> {
  const metrics = await readMetrics(run);
  const samples = await readSamples(run);
  const steps = await watchedSteps(run);
  const questions: PageQuestion[] = samples.map(({ id, category, question, views }) => ({
    ...{ id, category, text: question, options: [], answers: [], scene: views },
  }));
  return {
    title: basename(resolve(run)),
    subtitle: `${metrics.at(-1)?.step ?? 0} steps taken`,
    ...(samples.length === 0 && { notice: NOT_WATCHED }),
    runs: [{ name: 'Model', facts: [{ name: 'Run', value: run }] }],
    questions,
    files: [],
    training: { curves: curvesOf(metrics), watched: steps },
    sceneKeys: steps.flatMap((step) => samples.map(({ views }) => `${views}@${step}`)),
    scene: async (key) => {
      const [views, step] = key.split('@') as [string, string];
      const { photos, predictions, labels } = await readLift(watchedFile(run, Number(step), views));
      return { photos, predictions: [{ maps: predictions }], ...(labels && { labels }) };
    },
  };
}

const NOT_WATCHED =
  'No views are watched. With watch: { every: 100 } in the configuration a few samples are lifted every 100 steps.';

async function readSamples(run: string): Promise<readonly WatchedSample[]> {
  const file = join(run, WATCH_FOLDER, WATCH_FILE);
  const text = await readTextIfThere(file);
  if (text === undefined) return [];
  const samples = parseSamples(text);
  if (samples !== undefined) return samples;
  throw new SpatialError({
    code: 'FILE_INVALID',
    message: `${file}: expected a list of samples with id, category, question and views`,
    hint: 'Remove the watch folder: `spatialsv train … --resume` writes it again.',
  });
}

function parseSamples(text: string): readonly WatchedSample[] | undefined {
  try {
    const value: unknown = JSON.parse(text);
    return Array.isArray(value) && value.every(isSample) ? value : undefined;
  } catch {
    return undefined;
  }
}

/** Steps after which views were lifted, in their order. */
export async function watchedSteps(run: string): Promise<readonly number[]> {
  const names = await listIfThere(join(run, WATCH_FOLDER));
  const steps = names.flatMap((name) => /^step-(\d+)$/.exec(name)?.[1] ?? []);
  return steps.map(Number).sort((a, b) => a - b);
}

/** One curve for each loss, and those of the held-out samples. */
function curvesOf(metrics: readonly StepMetrics[]): PageTraining['curves'] {
  const curves = new Map<string, [number, number][]>();
  const add = (name: string, step: number, value: number | null | undefined) => {
    if (value == null) return;
    const points = curves.get(name) ?? [];
    points.push([step, Number(value.toPrecision(5))]);
    curves.set(name, points);
  };
  for (const { step, losses, heldOut } of metrics) {
    for (const [name, value] of Object.entries(losses)) add(name, step, value);
    add('held-out total', step, heldOut?.losses.total);
    add('held-out depth RMSE', step, heldOut?.depthRmse);
  }
  return [...curves].map(([name, points]) => ({ name, points }));
}
