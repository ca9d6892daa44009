import type { DeviceTensor } from '@spatialsv/engine';
import type { rateScalars, stepScalars } from './adamw.js';

export type Tensors = Readonly<Record<string, DeviceTensor>>;

/** A moment as float32, however it is kept. */
export interface MomentTensor {
  readonly shape: readonly number[];
  read(): Promise<ArrayLike<number>>;
  write(values: Float32Array): Promise<void>;
}

/** What an optimiser keeps for every parameter. */
export interface OptimizerTensors {
  readonly parameters: Tensors;
  /** First and second moment. */
  readonly first: Readonly<Record<string, MomentTensor>>;
  readonly second: Readonly<Record<string, MomentTensor>>;
  /** Sums of gradients. */
  readonly accumulators: Tensors;
}

/** Names of {@link OptimizerTensors}. */
export const OPTIMIZER_KINDS = ['parameters', 'first', 'second', 'accumulators'] as const;
export type OptimizerKind = (typeof OPTIMIZER_KINDS)[number];

/** Scalars of one update of one group. */
export type UpdateScalars = ReturnType<typeof stepScalars> & ReturnType<typeof rateScalars>;

/** Applies AdamW to the parameters of a group and clears its accumulators. */
export interface GroupUpdate {
  readonly tensors: OptimizerTensors;
  run(scalars: UpdateScalars): Promise<void>;
  dispose(): Promise<void>;
}
