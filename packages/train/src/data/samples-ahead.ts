/**
 * Samples that are made ready before they are asked for, in their order and one at a time: images, features and labels of the next
 * ones are read while one is computed.
 */
export class SamplesAhead<Sample> {
  readonly #fetch: (position: number) => Promise<Sample>;
  readonly #count: number;
  readonly #asked = new Map<number, Promise<Sample>>();
  #last: Promise<unknown> = Promise.resolve();
  #isClosed = false;

  /** @param count samples that are ready or under way beside the one that is taken. */
  constructor(fetch: (position: number) => Promise<Sample>, count: number) {
    this.#fetch = fetch;
    this.#count = count;
  }

  /** The sample at a position; the ones behind it are begun. Positions rise by one from call to call. */
  take(position: number): Promise<Sample> {
    const wanted = this.#ask(position);
    for (let ahead = 1; ahead <= this.#count; ahead++)
      this.#ask(position + ahead).catch(() => undefined);
    this.#asked.delete(position);
    return wanted;
  }

  #ask(position: number): Promise<Sample> {
    const known = this.#asked.get(position);
    if (known !== undefined) return known;
    const asked = this.#last.then(() => {
      if (this.#isClosed) throw new Error('closed');
      return this.#fetch(position);
    });
    // A sample that fails fails where it is taken.
    this.#last = asked.catch(() => undefined);
    this.#asked.set(position, asked);
    return asked;
  }

  /** Begins no more samples, and waits for the one under way. */
  async close(): Promise<void> {
    this.#isClosed = true;
    await this.#last;
  }
}
