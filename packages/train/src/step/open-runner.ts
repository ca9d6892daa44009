import type { ProgramTarget } from '@spatialsv/engine';
import type { RunConfig } from '../config/run-config.js';
import { packShape } from '../data/join-samples.js';
import type { SampleInputs } from '../data/sample-inputs.js';
import { freeBytesOf } from '../device-memory.js';
import type { ModelState } from '../model-state.js';
import { LayeredStep } from './layered-step.js';
import type { SampleRunner } from './sample-runner.js';
import { SampleStep, stepPeakBytes } from './sample-step.js';
import type { StepModel } from './step-program.js';

/** What is computed a second time in the backward pass: nothing, or the inside of every decoder layer. */
export type Recompute = Exclude<RunConfig['recompute'], 'auto'>;

/** Forward and backward pass as `recompute` says. */
export function openRunner(
  model: StepModel,
  state: ModelState,
  { recompute, ...target }: { readonly recompute: Recompute } & ProgramTarget,
): SampleRunner {
  const Step = recompute === 'none' ? SampleStep : LayeredStep;
  return new Step(model, state, target);
}

/** Share of the memory that is free which one graph may take: the machine does other things as well. */
const SHARE = 0.6;

/**
 * What `recompute: auto` stands for on this machine: nothing is computed twice as long as one graph of the largest of some
 * samples fits the memory that is free.
 */
export function chooseRecompute(
  model: StepModel,
  state: ModelState,
  samples: readonly SampleInputs[],
  {
    packTokens = 0,
    device = 'cpu',
    precision,
    freeBytes = freeBytesOf(device),
  }: {
    readonly packTokens?: number | undefined;
    readonly freeBytes?: number;
  } & Partial<ProgramTarget> = {},
): Recompute {
  const largest = samples.toSorted((a, b) => b.shape.tokens - a.shape.tokens)[0];
  if (largest === undefined) return 'none';
  // As many as may come together.
  const joined = Array(Math.max(1, Math.floor(packTokens / largest.tokens))).fill(largest);
  const bytes = stepPeakBytes(model, state, packShape(joined), { device, precision });
  return bytes <= SHARE * freeBytes ? 'none' : 'layer';
}
