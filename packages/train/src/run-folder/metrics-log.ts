import { join } from 'node:path';
import { appendLine, readLines, syncFile, writeFileAtomic } from '@spatialsv/core';
import type { GradientMetrics } from '../gradient-statistics.js';
import type { RatesByGroup } from '../groups.js';
import type { HeldOutMetrics, TeacherMetrics } from '../held-out.js';
import type { LossTerm } from '../step/terms.js';

/** One line of `metrics.jsonl`: an optimiser step. */
export interface StepMetrics {
  /** 1 for the first. */
  readonly step: number;
  readonly epoch: number;
  /** Means over the samples of the batch that have the term; null when none has. */
  readonly losses: Readonly<Record<LossTerm, number | null>>;
  /** Weights of the terms at this step, where they are learnt. */
  readonly termWeights?: Readonly<Partial<Record<LossTerm, number>>>;
  readonly learningRates: RatesByGroup;
  /** Global norm before clipping. */
  readonly gradientNorm: number;
  readonly samplesPerSecond: number;
  /** Sequence tokens without padding. */
  readonly tokensPerSecond: number;
  /** Seconds for which the step waited for its samples to be ready. */
  readonly waitedSeconds: number;
  /** Samples of the batch that were left out because they could not be read. */
  readonly skipped?: number;
  /** How far two teachers agree on the samples of the batch. */
  readonly teachers?: TeacherMetrics;
  /** What the gradients of the first sample of the batch say, at the steps at which they are looked at. */
  readonly gradients?: GradientMetrics;
  /** What the held-out samples say, at the steps after which they are measured. */
  readonly heldOut?: HeldOutMetrics;
}

export const METRICS_FILE = 'metrics.jsonl';

export async function appendMetrics(out: string, metrics: StepMetrics): Promise<void> {
  await appendLine(join(out, METRICS_FILE), JSON.stringify(metrics));
}

/** Brings what was appended to the disk, so that no checkpoint is ahead of its metrics. */
export async function syncMetrics(out: string): Promise<void> {
  await syncFile(join(out, METRICS_FILE));
}

/**
 * The steps of a run, up to a line that a crash has cut or that the disk has lost.
 * @throws SpatialError FILE_INVALID for a file that cannot be read.
 */
export async function readMetrics(out: string): Promise<readonly StepMetrics[]> {
  const steps: StepMetrics[] = [];
  for (const line of await readLines(join(out, METRICS_FILE))) {
    const metrics = parseMetrics(line);
    if (metrics === undefined) break;
    steps.push(metrics);
  }
  return steps;
}

function parseMetrics(line: string): StepMetrics | undefined {
  try {
    return JSON.parse(line) as StepMetrics;
  } catch {
    return undefined;
  }
}

/** Drops the steps after a checkpoint, which the resumed run takes again. */
export async function truncateMetrics(out: string, lastStep: number): Promise<void> {
  const kept = (await readMetrics(out)).filter(({ step }) => step <= lastStep);
  const text = kept.map((metrics) => `${JSON.stringify(metrics)}\n`).join('');
  await writeFileAtomic(join(out, METRICS_FILE), text);
}
