import { NumberList } from './number-list.js';
import { sha256 } from './sha256.js';

/** Hexadecimal digits of a hash that a number holds. */
const DIGITS = 13;

/**
 * Tells which ids stand at several samples, in 8 bytes for each sample. Two ids of equal hashes (of 52 bits) count as one: that a
 * message says more than it needs to is all that follows.
 */
export class RepeatedIds {
  readonly #hashes = new NumberList();
  #repeated: Float64Array | undefined;

  add(id: string): void {
    this.#hashes.push(hashOf(id));
    this.#repeated = undefined;
  }

  has(id: string): boolean {
    this.#repeated ??= repeatedOf(this.#hashes.toArray().sort());
    const hash = hashOf(id);
    let [from, to] = [0, this.#repeated.length];
    while (from < to) {
      const middle = (from + to) >> 1;
      if (this.#repeated[middle]! < hash) from = middle + 1;
      else to = middle;
    }
    return this.#repeated[from] === hash;
  }
}

const hashOf = (id: string): number => Number.parseInt(sha256(id).slice(0, DIGITS), 16);

/** Each number once that stands more than once in a sorted list. */
const repeatedOf = (sorted: Float64Array): Float64Array =>
  sorted.filter((hash, i) => hash === sorted[i - 1] && hash !== sorted[i - 2]);
