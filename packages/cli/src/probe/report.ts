import type { PluginRegistry, StoredLabeller, TapSite } from '@spatialsv/core';
import type { Control, ImageFiles, ProbeSet } from '@spatialsv/train';
import { type CommandContext, formatTable } from '../context.js';
import { packageVersion } from '../version.js';
import type { ModelAccuracy } from './accuracies.js';
import { comparison, type ModelRow, writeFigures } from './comparison.js';
import { controlOrders, describeOrder } from './control-order.js';
import type { ProbeOptions } from './options.js';
import { formatSpread, type ModelResults, summarise, taskTables } from './summary.js';
import { writeResults } from './write-results.js';

/** What all models of a run share. */
export interface ProbeRun {
  readonly options: ProbeOptions;
  readonly context: CommandContext;
  readonly plugins: PluginRegistry;
  readonly labels: StoredLabeller;
  readonly files: ImageFiles;
  readonly sets: readonly ProbeSet[];
  readonly controls: readonly Control[];
}

/** What one model did. */
export interface ProbedModel extends ModelResults {
  readonly folder: string;
  /** SHA-256 of every weight. */
  readonly weights: string;
  readonly sites: readonly TapSite[];
  /** Sets that the model was run on, and how long that took, seconds. */
  readonly extracted: number;
  readonly extractionSeconds: number;
  readonly probeSeconds: number;
}

/** Writes the tables, values and figures of a run, and prints the tables. */
export async function reportProbes(
  run: ProbeRun,
  models: readonly ProbedModel[],
  accuracies: readonly (ModelAccuracy | undefined)[],
): Promise<void> {
  const { options, context, sets, labels, files } = run;
  const summaries = summarise(models);
  const rows = comparison(models, summaries, accuracies);
  const orders = controlOrders(models, rows);
  const { source, model } = labels.provenance;
  const facts = [
    `${sets.length} view sets, labels of ${source} ${model}; ${options.heldOut} of the scenes held out`,
    `probe: ${options.probe}, ${options.steps} steps of ${options.batchSize} view sets, ${options.seeds} seeds`,
    `${files.reads} image files read; spatialsv ${packageVersion()}`,
    ...orders.map(describeOrder).filter((text) => text !== ''),
  ];
  const results = {
    spatialsv: packageVersion(),
    settings: { ...options },
    viewSets: sets.length,
    imageFilesRead: files.reads,
    labels: labels.provenance,
    models: models.map(({ results: _, ...rest }) => rest),
    summaries,
    comparison: rows,
    orders,
  };
  await writeResults(options.out, models, summaries, { results, facts });
  await writeFigures(options.out, rows, summaries);
  context.out(
    options.json ? `${JSON.stringify(results)}\n` : printed(models, summaries, rows, orders),
  );
  context.err(
    `written to ${options.out}: results.md, results.json, *.csv, *.svg, *.png, curves.jsonl\n`,
  );
}

function printed(
  models: readonly ProbedModel[],
  summaries: ReturnType<typeof summarise>,
  rows: readonly ModelRow[],
  orders: ReturnType<typeof controlOrders>,
): string {
  const tables = [...taskTables(summaries, models.length > 1)].map(
    ([task, table]) => `${task}\n${formatTable(table)}`,
  );
  const compared = models.length > 1 || rows.some(({ accuracy }) => accuracy !== null);
  const lines = orders.map(describeOrder).filter((text) => text !== '');
  return [
    ...tables,
    ...(compared ? [`models\n${formatTable(comparisonTable(rows))}`] : []),
    ...lines.map((text) => `${text}\n`),
  ].join('\n');
}

const comparisonTable = (rows: readonly ModelRow[]) => [
  ['model', 'task', 'best site', 'metric', 'value', 'accuracy'],
  ...rows.map(({ model, task, subject, metric, mean, sd, accuracy }) => [
    model,
    task,
    subject,
    metric,
    formatSpread({ mean, sd }),
    accuracy === null ? '–' : `${(100 * accuracy).toFixed(1)} %`,
  ]),
];
