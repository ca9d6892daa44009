const FIRST_CAPACITY = 1024;

/** Whole numbers below 2⁵³ in a growing list outside of the heap of JavaScript, 8 bytes each. */
export class NumberList {
  #values = new Float64Array(FIRST_CAPACITY);
  #length = 0;

  get length(): number {
    return this.#length;
  }

  push(value: number): void {
    if (this.#length === this.#values.length) {
      const larger = new Float64Array(2 * this.#length);
      larger.set(this.#values);
      this.#values = larger;
    }
    this.#values[this.#length] = value;
    this.#length += 1;
  }

  at(index: number): number {
    return this.#values[index]!;
  }

  /** A copy. */
  toArray(): Float64Array {
    return this.#values.slice(0, this.#length);
  }
}
