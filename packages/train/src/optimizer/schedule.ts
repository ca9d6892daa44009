export interface ScheduleOptions {
  /** Optimiser steps of the whole run. */
  readonly steps: number;
  readonly warmupRatio: number;
  /** What follows the warm-up. */
  readonly type: Schedule;
}

/** Half a cosine down to 0, a straight line down to 0, or no change. */
export const SCHEDULES = ['cosine', 'linear', 'constant'] as const;
export type Schedule = (typeof SCHEDULES)[number];

/**
 * Factor on the learning rates at a step: linear rise over ⌈ratio · steps⌉ steps, then what `type` says.
 * @param step 0 for the first optimiser step. @returns a number in [0, 1]; 0 at step 0 of a warm-up.
 * Source: transformers.get_cosine_schedule_with_warmup, get_linear_…, get_constant_….
 */
export function rateFactor(step: number, { steps, warmupRatio, type }: ScheduleOptions): number {
  const warmup = Math.ceil(warmupRatio * steps);
  if (step < warmup) return step / Math.max(1, warmup);
  if (type === 'constant') return 1;
  const progress = (step - warmup) / Math.max(1, steps - warmup);
  if (type === 'linear') return Math.max(0, 1 - progress);
  return Math.max(0, 0.5 * (1 + Math.cos(Math.PI * progress)));
}

/** Optimiser steps of a run: as configured, or from epochs over the samples; one epoch where neither is given. */
export function countSteps(
  schedule: { readonly steps?: number | undefined; readonly epochs?: number | undefined },
  samples: number,
  batchSize: number,
): number {
  if (schedule.steps !== undefined) return schedule.steps;
  return Math.max(1, Math.ceil(((schedule.epochs ?? 1) * samples) / batchSize));
}
