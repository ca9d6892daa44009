import { type CompiledDecoder, type DecoderCache, roundUp } from '@spatialsv/core';

/** Slots of a key-value cache come in multiples of this, and of an eighth of their number. */
const SMALLEST_BUCKET = 64;

/** The key-value cache of all answers under way. It grows with what they need; slots of answers that have ended are used again. */
export class CacheSlots {
  readonly #decoder: CompiledDecoder;
  #cache: DecoderCache | undefined;
  #free: number[] = [];

  constructor(decoder: CompiledDecoder) {
    this.#decoder = decoder;
  }

  /** What the last {@link reserve} has left. */
  get cache(): DecoderCache {
    return this.#cache!;
  }

  /** Slots that can be taken. */
  get free(): number {
    return this.#free.length;
  }

  /** Slots that are taken. */
  get used(): number {
    return this.#cache === undefined ? 0 : this.#cache.capacity - 1 - this.#free.length;
  }

  /** Makes room for so many slots more. */
  async reserve(count: number): Promise<void> {
    if (this.#cache !== undefined && this.#free.length >= count) return;
    // One slot belongs to nobody.
    const capacity = slotBucket(this.used + count + 1);
    const before = this.#cache?.capacity ?? 1;
    this.#cache = await (this.#cache === undefined
      ? this.#decoder.createCache(capacity)
      : this.#decoder.growCache(this.#cache, capacity));
    const added = Array.from({ length: capacity - before }, (_, i) => capacity - 2 - i);
    this.#free = [...added, ...this.#free];
  }

  /** Slots that were reserved. */
  take(count: number): number[] {
    return this.#free.splice(this.#free.length - count, count).reverse();
  }

  give(slots: readonly number[]): void {
    for (let i = slots.length - 1; i >= 0; i -= 1) this.#free.push(slots[i]!);
  }

  /** Forgets everything. */
  clear(): void {
    this.#cache?.dispose();
    this.#cache = undefined;
    this.#free = [];
  }
}

const slotBucket = (slots: number): number =>
  roundUp(slots, Math.max(SMALLEST_BUCKET, 2 ** (Math.floor(Math.log2(slots)) - 3)));
