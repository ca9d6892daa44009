import type { CompiledProgram, HostArray, ProgramCache, Tree } from '@spatialsv/engine';
import type { Tensors } from '../optimizer/group-update.js';
import type { ChannelStatistics, FeatureSource } from './feature-sources.js';
import type { ProbeTargets } from './probe-targets.js';
import type { ProbeSet } from './view-sets.js';

/** Metrics by name; units are in the names. */
export type Metrics = Readonly<Record<string, number>>;

/** Sum of a loss, and what it is divided by. */
export interface LossSum {
  readonly loss: number;
  readonly count: number;
}

/** What the parts of a probe share. */
export interface ProbeContext {
  readonly source: FeatureSource;
  readonly targets: ProbeTargets;
  /** Channels of the source. */
  readonly channels: number;
  readonly statistics: ChannelStatistics;
  readonly programs: ProgramCache;
  readonly device: string;
}

/** Inputs of one run of a program. */
export interface ProbeBatch {
  /** Equal for batches of one program. */
  readonly key: string;
  readonly inputs: Tree<HostArray>;
  /** Values that the loss is a mean over. */
  readonly count: number;
}

/** A probe of one task: what it trains, and how its batches are made and measured. */
export interface ProbeModel {
  readonly shapes: Readonly<Record<string, readonly number[]>>;
  /** The input `scale` of its programs. */
  readonly scale: ChannelStatistics;
  /** The batches of some view sets. */
  batches(sets: readonly ProbeSet[]): Promise<readonly ProbeBatch[]>;
  /** Compiles the program that adds the gradients of a batch to the accumulators. */
  compileStep(batch: ProbeBatch): Promise<CompiledProgram>;
  /** Loss and metrics of some view sets. */
  measure(
    parameters: Tensors,
    sets: readonly ProbeSet[],
    signal?: AbortSignal,
  ): Promise<LossSum & { readonly metrics: Metrics }>;
}

/** Parts of equal size in one array, and zeros behind them. */
export function joinPadded(parts: readonly Float32Array[], count: number, size: number) {
  const joined = new Float32Array(count * size);
  for (const [index, part] of parts.entries()) joined.set(part, index * size);
  return joined;
}

/** Lists of at most `size` items. */
export const chunksOf = <Item>(items: readonly Item[], size: number): Item[][] =>
  Array.from({ length: Math.ceil(items.length / size) }, (_, i) =>
    items.slice(i * size, (i + 1) * size),
  );

/** Items by a key, in order of first appearance. */
export function groupBy<Item>(items: readonly Item[], key: (item: Item) => string): Item[][] {
  const groups = new Map<string, Item[]>();
  for (const item of items) {
    const group = groups.get(key(item)) ?? [];
    group.push(item);
    groups.set(key(item), group);
  }
  return [...groups.values()];
}
