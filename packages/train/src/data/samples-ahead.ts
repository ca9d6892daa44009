/**
 * Samples that are made ready before they are asked for, begun in their order and so many at a time: images, features and labels of
 * the next ones are read while one is computed.
 */
export class SamplesAhead<Sample> {
  readonly #fetch: (position: number) => Promise<Sample>;
  readonly #count: number;
  readonly #asked = new Map<number, Promise<Sample>>();
  /** What is under way: each sample waits for the one before it in its lane. */
  readonly #lanes: Promise<unknown>[];
  #isClosed = false;

  /**
   * @param count samples that are ready or under way beside the one that is taken.
   * @param atOnce samples that are under way at a time.
   */
  constructor(fetch: (position: number) => Promise<Sample>, count: number, atOnce = 1) {
    this.#fetch = fetch;
    this.#count = count;
    this.#lanes = Array.from({ length: atOnce }, () => Promise.resolve());
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
    const lane = position % this.#lanes.length;
    const asked = this.#lanes[lane]!.then(() => {
      if (this.#isClosed) throw new Error('closed');
      return this.#fetch(position);
    });
    // A sample that fails fails where it is taken.
    this.#lanes[lane] = asked.catch(() => undefined);
    this.#asked.set(position, asked);
    return asked;
  }

  /** Begins no more samples, and waits for those under way. */
  async close(): Promise<void> {
    this.#isClosed = true;
    await Promise.all(this.#lanes);
  }
}
