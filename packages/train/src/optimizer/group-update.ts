import type { DeviceTensor } from '@spatialsv/engine';
import type { rateScalars, stepScalars } from './adamw.js';

export type Tensors = Readonly<Record<string, DeviceTensor>>;

/** What an optimiser keeps for every parameter. */
export interface OptimizerTensors {
  readonly parameters: Tensors;
  /** First and second moment. */
  readonly first: Tensors;
  readonly second: Tensors;
  /** Sums of gradients. */
  readonly accumulators: Tensors;
}

/** Names of {@link OptimizerTensors}. */
export const OPTIMIZER_KINDS = ['parameters', 'first', 'second', 'accumulators'] as const;

/** Scalars of one update of one group. */
export type UpdateScalars = ReturnType<typeof stepScalars> & ReturnType<typeof rateScalars>;

/** Applies AdamW to the parameters of a group and clears its accumulators. */
export interface GroupUpdate {
  readonly tensors: OptimizerTensors;
  run(scalars: UpdateScalars): Promise<void>;
  dispose(): Promise<void>;
}
