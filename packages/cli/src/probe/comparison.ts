import { join } from 'node:path';
import { writeFileAtomic } from '@spatialsv/core';
import { scatterPlot, seriesPlot, toCsv, writeFigure } from '@spatialsv/inspect';
import { CONTROLS, type ProbeTask, type Subject } from '@spatialsv/train';
import type { ModelAccuracy } from './accuracies.js';
import { MAIN_METRIC, type ModelResults, type SubjectSummary } from './summary.js';

/** One model in one task: its best site, beside its accuracy (Fig. 2 of the paper). */
export interface ModelRow {
  readonly model: string;
  readonly task: ProbeTask;
  readonly subject: Subject;
  readonly metric: string;
  readonly mean: number;
  readonly sd: number | null;
  readonly benchmark: string | null;
  readonly accuracy: number | null;
  readonly accuracyLow: number | null;
  readonly accuracyHigh: number | null;
}

const isControl = (subject: string): boolean => (CONTROLS as readonly string[]).includes(subject);

/** A row for each model and task; the best site is that of the best mean over the seeds. */
export function comparison(
  models: readonly ModelResults[],
  summaries: readonly SubjectSummary[],
  accuracies: readonly (ModelAccuracy | undefined)[],
): readonly ModelRow[] {
  const tasks = [...new Set(summaries.map(({ task }) => task))];
  return models.flatMap(({ model }, index) =>
    tasks.flatMap((task) => {
      const { name: metric, lessIsBetter } = MAIN_METRIC[task];
      const [best] = summaries
        .filter((each) => each.model === model && each.task === task && !isControl(each.subject))
        .toSorted((a, b) => {
          const difference = a.metrics[metric]!.mean - b.metrics[metric]!.mean;
          return lessIsBetter ? difference : -difference;
        });
      if (best === undefined) return [];
      const found = accuracies[index];
      return {
        model,
        task,
        subject: best.subject,
        metric,
        ...best.metrics[metric]!,
        benchmark: found?.benchmark ?? null,
        accuracy: found?.accuracy ?? null,
        accuracyLow: found?.interval?.[0] ?? null,
        accuracyHigh: found?.interval?.[1] ?? null,
      };
    }),
  );
}

/** The main metric of a task, with its unit. */
const METRIC_TITLES: Readonly<Record<ProbeTask, string>> = {
  depth: 'depth RMSE (mean distance = 1)',
  normals: 'mean angle of normals, degrees',
  'ray-map': 'mean angle of rays, degrees',
  correspondence: 'recall@1 of correspondence',
};

/**
 * Writes the rows of each task as `models-TASK.csv`, and where models have evaluations accuracy over probe error, one point for
 * each of them, as SVG and PNG; and the error of every site as `sites-TASK.*`.
 */
export async function writeFigures(
  out: string,
  rows: readonly ModelRow[],
  summaries: readonly SubjectSummary[],
): Promise<void> {
  for (const task of new Set(rows.map((row) => row.task))) {
    const ofTask = rows.filter((row) => row.task === task);
    if (ofTask.some(({ accuracy }) => accuracy !== null))
      await writeFigure(out, modelFigure(task, ofTask));
    else await writeFileAtomic(join(out, `models-${task}.csv`), toCsv(ofTask.map(plain)));
    await writeFigure(out, siteFigure(task, summaries));
  }
}

const plain = (row: ModelRow) => ({ ...row });

/** Names of more subjects than this touch each other unless they stand. */
const SLANTED = 20;

const isCrowded = (rows: readonly { readonly probed: string }[]): boolean =>
  new Set(rows.map(({ probed }) => probed)).size > SLANTED;

/** The main metric of everything that was probed, with its spread over the seeds. */
function siteFigure(task: ProbeTask, summaries: readonly SubjectSummary[]) {
  const { name } = MAIN_METRIC[task];
  const rows = summaries
    .filter((summary) => summary.task === task)
    .map(({ model, subject, metrics }) => {
      const { mean, sd } = metrics[name]!;
      const [low, high] = [mean - (sd ?? 0), mean + (sd ?? 0)];
      return { model, probed: subject, site: !isControl(subject), mean, low, high };
    });
  return seriesPlot({
    name: `sites-${task}`,
    title: `Probes of ${task}`,
    subtitle: 'Held-out scenes; bars: one standard deviation over the seeds.',
    rows,
    x: { field: 'probed', title: 'probed', labelAngle: isCrowded(rows) ? -90 : -40 },
    y: { field: 'mean', title: METRIC_TITLES[task], format: '.3~g', interval: ['low', 'high'] },
    color: 'model',
    // Controls are no further layers.
    joined: 'site',
  });
}

function modelFigure(task: ProbeTask, rows: readonly ModelRow[]) {
  const benchmarks = [...new Set(rows.flatMap(({ benchmark }) => benchmark ?? []))];
  const interval = rows.every(({ accuracyLow }) => accuracyLow !== null);
  return scatterPlot({
    name: `models-${task}`,
    title: 'What a model knows of space, and how well it answers',
    subtitle:
      'Each point is a checkpoint: the frozen model is probed on scenes that the probe never saw.',
    rows: rows.map(plain),
    x: {
      field: 'mean',
      title: `${METRIC_TITLES[task]}, best site`,
      format: '.3~g',
      reverse: MAIN_METRIC[task].lessIsBetter,
    },
    y: {
      field: 'accuracy',
      title: `accuracy${benchmarks.length === 0 ? '' : `, ${benchmarks.join(', ')}`}`,
      format: '.0%',
      ...(interval && { interval: ['accuracyLow', 'accuracyHigh'] as const }),
    },
    color: 'model',
    label: 'model',
  });
}
