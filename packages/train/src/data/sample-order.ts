import { createRandom } from '@spatialsv/core';

/** Samples of one data set as an order mixes them. */
export interface MixedSet {
  readonly count: number;
  /** How often a sample is seen in an epoch. */
  readonly ratio: number;
  readonly seed: number;
}

/**
 * Order in which samples are seen: every epoch mixes the data sets by their ratios and is a shuffle drawn from (seed, epoch)
 * alone, so a position in the run is all that resuming needs.
 */
export class SampleOrder {
  readonly #sets: readonly MixedSet[];
  readonly #seed: number;
  #epoch = -1;
  #order: readonly number[] = [];

  /** @param sets their samples are numbered one set after the other. */
  constructor(sets: readonly MixedSet[], seed: number) {
    this.#sets = sets;
    this.#seed = seed;
  }

  /** Index of the sample at a position of the run (0 for the first sample ever seen). */
  at(position: number): number {
    const length = epochLength(this.#sets);
    const epoch = Math.floor(position / length);
    if (epoch !== this.#epoch) this.#shuffle(epoch);
    return this.#order[position % length]!;
  }

  #shuffle(epoch: number): void {
    let start = 0;
    const indices = this.#sets.flatMap((set) => {
      const drawn = drawnOf(set, epoch).map((index) => start + index);
      start += set.count;
      return drawn;
    });
    this.#order = createRandom(this.#seed * PASSES + epoch).shuffle(indices);
    this.#epoch = epoch;
  }
}

/** Samples of one epoch. */
export const epochLength = (sets: readonly MixedSet[]): number =>
  sets.reduce((sum, set) => sum + drawnCount(set), 0);

/** More than any run has epochs: seeds of different runs share no shuffle. */
const PASSES = 1_000_003;

/** A set that has samples gives at least one. */
const drawnCount = ({ count, ratio }: MixedSet): number =>
  count === 0 ? 0 : Math.max(1, Math.round(count * ratio));

/** Samples of a set in an epoch: the next ones of its own shuffled list, which begins anew, shuffled anew, at its end. */
function drawnOf(set: MixedSet, epoch: number): readonly number[] {
  const { count, seed } = set;
  const drawn = drawnCount(set);
  const numbers = Array.from({ length: drawn }, (_, index) => epoch * drawn + index);
  // Whole turns hold every sample as often, in whatever order.
  if (drawn % count === 0) return numbers.map((number) => number % count);
  const turns = new Map<number, readonly number[]>();
  return numbers.map((number) => {
    const turn = Math.floor(number / count);
    const list = turns.get(turn) ?? shuffledIndices(count, seed * PASSES + turn);
    turns.set(turn, list);
    return list[number % count]!;
  });
}

/** Numbers below `count` in an order drawn from the seed. */
export const shuffledIndices = (count: number, seed: number): readonly number[] =>
  createRandom(seed).shuffle(Array.from({ length: count }, (_, index) => index));
