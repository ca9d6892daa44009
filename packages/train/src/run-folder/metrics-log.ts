import { appendFile, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { writeFileAtomic } from '@spatialsv/core';
import type { RatesByGroup } from '../groups.js';
import type { LossTerm } from '../step/step-program.js';

/** One line of `metrics.jsonl`: an optimiser step. */
export interface StepMetrics {
  /** 1 for the first. */
  readonly step: number;
  readonly epoch: number;
  /** Means over the samples of the batch that have the term; null when none has. */
  readonly losses: Readonly<Record<LossTerm, number | null>>;
  readonly learningRates: RatesByGroup;
  /** Global norm before clipping. */
  readonly gradientNorm: number;
  readonly samplesPerSecond: number;
  /** Sequence tokens without padding. */
  readonly tokensPerSecond: number;
}

export const METRICS_FILE = 'metrics.jsonl';

export async function appendMetrics(out: string, metrics: StepMetrics): Promise<void> {
  await appendFile(join(out, METRICS_FILE), `${JSON.stringify(metrics)}\n`);
}

/** Every complete line of a run's metrics; a line cut by a crash is left out. */
export async function readMetrics(out: string): Promise<readonly StepMetrics[]> {
  const text = await readFile(join(out, METRICS_FILE), 'utf8').catch(() => '');
  const lines = text.slice(0, text.lastIndexOf('\n') + 1).split('\n');
  return lines.filter((line) => line !== '').map((line) => JSON.parse(line) as StepMetrics);
}

/** Drops the steps after a checkpoint, which the resumed run takes again. */
export async function truncateMetrics(out: string, lastStep: number): Promise<void> {
  const kept = (await readMetrics(out)).filter(({ step }) => step <= lastStep);
  const text = kept.map((metrics) => `${JSON.stringify(metrics)}\n`).join('');
  await writeFileAtomic(join(out, METRICS_FILE), text);
}
