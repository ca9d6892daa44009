import { mkdir, stat } from 'node:fs/promises';
import { dirname } from 'node:path';
import { appendLine, readLines, SpatialError, writeFileAtomic } from '@spatialsv/core';
import { liftQuality, type QualityName, readLift } from '@spatialsv/inspect';
import { z } from 'zod';
import type { CommandContext } from '../context.js';
import { liftFile } from '../lifts/lift-questions.js';
import type { NamedRun } from './read-run.js';

const rateSchema = z.object({
  /** Of the view set. */
  views: z.string(),
  measure: z.string(),
  /** Of the file when it was measured: another file is measured again. */
  bytes: z.number(),
  modifiedMs: z.number(),
  labels: z.string().nullable(),
  quality: z.number().nullable(),
});

type Rate = z.output<typeof rateSchema>;

/** Quality of the lifts of a run. */
export interface RatedLifts {
  /** By view set; undefined where a lift has no labels. */
  readonly qualities: ReadonlyMap<string, number>;
  /** View sets that the questions are about. */
  readonly viewSets: number;
  /** Of them with a lift. */
  readonly lifts: number;
  /** Whose labels are beside the lifts. */
  readonly labelSources: readonly string[];
}

/**
 * Measures every lift of a run. What is measured is kept in `log`, a line each, so an interrupted run goes on.
 * @throws SpatialError FILE_INVALID for a damaged lift.
 */
export async function rateLifts(
  run: NamedRun,
  measure: QualityName,
  log: string,
  { progress, signal }: CommandContext,
): Promise<RatedLifts> {
  const sets = [...new Set([...run.questions.values()].flatMap(({ views }) => views ?? []))];
  const known = await openLog(log, measure);
  const rates: Rate[] = [];
  progress.start(`Measuring lifts of ${run.name}`, sets.length);
  for (const [i, views] of sets.entries()) {
    signal.throwIfAborted();
    const file = liftFile(run.folder, views);
    const found = await stat(file).catch(() => undefined);
    progress.update(i + 1);
    if (found === undefined) continue;
    const facts = { views, measure, bytes: found.size, modifiedMs: found.mtimeMs };
    const before = known.get(views);
    if (before?.bytes === facts.bytes && before.modifiedMs === facts.modifiedMs) {
      rates.push(before);
      continue;
    }
    const rate = { ...facts, ...(await rateOf(file, measure)) };
    await appendLine(log, JSON.stringify(rate));
    rates.push(rate);
  }
  progress.done(`${rates.length} of ${sets.length} view sets of ${run.name} have a lift`);
  return {
    qualities: new Map(
      rates.flatMap(({ views, quality }) => (quality === null ? [] : [[views, quality]])),
    ),
    viewSets: sets.length,
    lifts: rates.length,
    labelSources: [...new Set(rates.flatMap(({ labels }) => labels ?? []))].sort(),
  };
}

async function rateOf(file: string, measure: QualityName) {
  const lift = await readLift(file);
  try {
    return { labels: lift.labelSource ?? null, quality: liftQuality(lift, measure) ?? null };
  } catch (cause) {
    if (!SpatialError.isInstance(cause)) throw cause;
    const { code, message, hint } = cause;
    throw new SpatialError({ code, message: `${file}: ${message}`, hint, cause });
  }
}

/** What is known of a measure. What a crash has left of a line is taken out of the log, which goes on behind it. */
async function openLog(log: string, measure: QualityName): Promise<ReadonlyMap<string, Rate>> {
  const rates = (await readLines(log)).flatMap((line) => {
    try {
      return rateSchema.parse(JSON.parse(line));
    } catch {
      return [];
    }
  });
  await mkdir(dirname(log), { recursive: true });
  await writeFileAtomic(log, rates.map((rate) => `${JSON.stringify(rate)}\n`).join(''));
  return new Map(
    rates.filter((rate) => rate.measure === measure).map((rate) => [rate.views, rate]),
  );
}
