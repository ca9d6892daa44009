import type { Shard } from '@spatialsv/core';
import type { TargetOptions, WeightOptions } from '../command-line/options.js';
import type { GenerationOptions } from '../generation.js';
import type { LiftLabelOptions } from '../lifts/labels.js';

/** What `spatialsv eval` is told. */
export interface EvalOptions
  extends TargetOptions,
    WeightOptions,
    GenerationOptions,
    LiftLabelOptions {
  readonly model: string;
  readonly benchmark: string;
  readonly data: string;
  readonly out: string;
  readonly devices?: readonly string[];
  readonly seed: number;
  readonly variant?: string;
  readonly frames?: number;
  readonly imageRoot?: string;
  readonly field?: Readonly<Record<string, string>>;
  readonly limit?: number;
  /** Answers that are decoded together, 8 by default. */
  readonly batch?: number;
  readonly shard?: Shard;
  readonly minPixels?: number;
  readonly maxPixels?: number;
  readonly set?: Readonly<Record<string, string>>;
  readonly lift: boolean;
  readonly overwrite: boolean;
  readonly json: boolean;
}
