import type { SampleInputs } from '../data/sample-inputs.js';
import type { ProgramUsage } from './program-usage.js';
import type { LossTerm } from './terms.js';

/** Values of the terms of equation 6 for one sample; absent terms are null. */
export type SampleLosses = Readonly<Record<LossTerm, number | null>>;

/** Runs forward and backward passes of samples: of one, or of several that are joined into one sequence. */
export interface SampleRunner {
  /** Has the programs of samples compiled, for a {@link run} to come. */
  prepare(samples: readonly SampleInputs[]): void;
  /** Adds the gradients of the samples to the accumulators. @returns the losses of each. */
  run(samples: readonly SampleInputs[]): Promise<readonly SampleLosses[]>;
  /** What its programs took so far. */
  readonly usage: ProgramUsage;
  dispose(): Promise<void>;
}
