import { dirname, join } from 'node:path';
import { canonicalJson, readTextIfThere, SpatialError, writeFileAtomic } from '@spatialsv/core';
import {
  listCheckpoints,
  loadSweep,
  readMetrics,
  type StepMetrics,
  type SweepRun,
} from '@spatialsv/train';
import type { CommandContext } from '../context.js';
import { trainConfigured } from './train.js';

export interface SweepOptions {
  readonly json: boolean;
}

/** What an arm has reached, over its seeds. */
export interface SweepRow {
  readonly arm: string;
  readonly seeds: number;
  /** Held-out measures where there are any, else those of the last step; null where the arm has none. */
  readonly measures: Readonly<Record<string, Measure | null>>;
}

interface Measure {
  readonly mean: number;
  /** Sample standard deviation over the seeds; null for one seed. */
  readonly deviation: number | null;
}

/**
 * Trains every arm of a sweep with every seed, and prints the table, which is also kept as `table.json`.
 * @throws SpatialError CONFIG_INVALID for a file or an arm that is wrong, before anything is trained, and for a complete run that
 *   was made with another configuration; else as training does.
 */
export async function runSweep(
  file: string,
  { json }: SweepOptions,
  context: CommandContext,
): Promise<void> {
  const { runs, out } = await loadSweep(file);
  const results = new Map<string, StepMetrics[]>();
  for (const [index, run] of runs.entries()) {
    context.err(`Run ${index + 1} of ${runs.length}: arm ${run.arm}, seed ${run.seed}\n`);
    const metrics = await completeRun(run, dirname(file), context);
    results.set(run.arm, [...(results.get(run.arm) ?? []), metrics]);
  }
  const rows = [...results].map(([arm, metrics]) => summarise(arm, metrics));
  await writeFileAtomic(join(out, 'table.json'), `${JSON.stringify(rows, null, 2)}\n`);
  context.out(json ? `${JSON.stringify({ out, rows })}\n` : table(rows));
}

/** File of a complete run: what it was made with. */
const COMPLETE_FILE = 'complete.json';

/** @returns the metrics of the last step of a run, after training what is left of it. */
async function completeRun(
  { config }: SweepRun,
  folder: string,
  context: CommandContext,
): Promise<StepMetrics> {
  const file = join(config.out, COMPLETE_FILE);
  const made = canonicalJson(JSON.parse(JSON.stringify(config)));
  const stored = await readTextIfThere(file);
  if (stored === undefined) {
    const resume = (await listCheckpoints(config.out)).length > 0;
    const { result } = await trainConfigured(config, { resume, folder }, context);
    if (!result.complete) context.signal.throwIfAborted();
    await writeFileAtomic(file, `${made}\n`);
  }
  const last = (await readMetrics(config.out)).at(-1);
  if (last !== undefined && (stored === undefined || stored.trim() === made)) return last;
  throw new SpatialError({
    code: 'CONFIG_INVALID',
    message: `${config.out}: the run is complete, but was made with another configuration`,
    hint: 'Name another `out` in the sweep, or remove the folder to train this arm again.',
  });
}

/** Measures of a run by name. */
function measuresOf({ heldOut, losses }: StepMetrics): Readonly<Record<string, number | null>> {
  if (heldOut === undefined) return losses;
  const { accuracy, depthRmse } = heldOut;
  return { accuracy, depthRmse, loss: heldOut.losses.total, text: heldOut.losses.text };
}

function summarise(arm: string, metrics: readonly StepMetrics[]): SweepRow {
  const runs = metrics.map(measuresOf);
  const measures = Object.keys(runs[0]!).map((name) => {
    const values = runs.flatMap((run) => run[name] ?? []);
    return [name, values.length === 0 ? null : measure(values)] as const;
  });
  return { arm, seeds: metrics.length, measures: Object.fromEntries(measures) };
}

function measure(values: readonly number[]): Measure {
  const mean = values.reduce((sum, value) => sum + value, 0) / values.length;
  if (values.length === 1) return { mean, deviation: null };
  const squares = values.reduce((sum, value) => sum + (value - mean) ** 2, 0);
  return { mean, deviation: Math.sqrt(squares / (values.length - 1)) };
}

function table(rows: readonly SweepRow[]): string {
  const names = Object.keys(rows[0]!.measures);
  const cells = [
    ['arm', 'seeds', ...names],
    ...rows.map(({ arm, seeds, measures }) => [
      ...[arm, String(seeds)],
      ...names.map((name) => show(measures[name] ?? null)),
    ]),
  ];
  const widths = cells[0]!.map((_, column) => Math.max(...cells.map((row) => row[column]!.length)));
  const padded = cells.map((row) => row.map((cell, column) => cell.padEnd(widths[column]!)));
  return padded.map((row) => `${row.join('  ').trimEnd()}\n`).join('');
}

function show(value: Measure | null): string {
  if (value === null) return '–';
  const { mean, deviation } = value;
  return deviation === null ? mean.toFixed(4) : `${mean.toFixed(4)} ± ${deviation.toFixed(4)}`;
}
