import { createRandom } from '@spatialsv/core';

/**
 * Order in which samples are seen: every epoch is a shuffle drawn from (seed, epoch) alone, so a position in the run is
 * all that resuming needs.
 */
export class SampleOrder {
  readonly #count: number;
  readonly #seed: number;
  #epoch = -1;
  #order: readonly number[] = [];

  constructor(count: number, seed: number) {
    this.#count = count;
    this.#seed = seed;
  }

  /** Index of the sample at a position of the run (0 for the first sample ever seen). */
  at(position: number): number {
    const epoch = Math.floor(position / this.#count);
    if (epoch !== this.#epoch) this.#shuffle(epoch);
    return this.#order[position % this.#count]!;
  }

  #shuffle(epoch: number): void {
    const indices = Array.from({ length: this.#count }, (_, index) => index);
    this.#order = createRandom(this.#seed * 1_000_003 + epoch).shuffle(indices);
    this.#epoch = epoch;
  }
}
