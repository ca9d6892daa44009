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
  #order: Uint32Array = new Uint32Array();

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
    const indices = new Uint32Array(epochLength(this.#sets));
    let [start, filled] = [0, 0];
    for (const set of this.#sets) {
      const drawn = drawnOf(set, epoch);
      indices.set(
        drawn.map((index) => start + index),
        filled,
      );
      filled += drawn.length;
      start += set.count;
    }
    this.#order = createRandom(this.#seed * PASSES + epoch).shuffleNumbers(indices);
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
function drawnOf(set: MixedSet, epoch: number): Uint32Array {
  const { count, seed } = set;
  const drawn = drawnCount(set);
  const first = epoch * drawn;
  // Whole turns hold every sample as often, in whatever order.
  if (drawn % count === 0)
    return Uint32Array.from({ length: drawn }, (_, i) => (first + i) % count);
  let turn = -1;
  let list: Uint32Array = new Uint32Array();
  return Uint32Array.from({ length: drawn }, (_, i) => {
    const number = first + i;
    if (Math.floor(number / count) !== turn) {
      turn = Math.floor(number / count);
      list = shuffledIndices(count, seed * PASSES + turn);
    }
    return list[number % count]!;
  });
}

/** Numbers below `count` in an order drawn from the seed. */
export const shuffledIndices = (count: number, seed: number): Uint32Array =>
  createRandom(seed).shuffleNumbers(Uint32Array.from({ length: count }, (_, index) => index));
