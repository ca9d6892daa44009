import { createHash } from 'node:crypto';
import { setImmediate } from 'node:timers/promises';
import type { PreparedInputsV1 } from '@spatialsv/core';
import type { CacheSlots } from './cache-slots.js';

/** The part of a prompt up to its last visual token. */
export interface PromptStart {
  /** Equal where ids, positions and pixels are. */
  readonly key: string;
  readonly tokens: number;
}

/** A start whose keys and values are in the cache. */
export interface KeptStart extends PromptStart {
  readonly slots: readonly number[];
}

/**
 * Keys and values of what stands in front of questions, system prompt and views. Many questions are asked about the same views:
 * these are encoded and decoded once for all of them. Starts of answers under way are kept, and the one that was used last.
 */
export class SharedStarts {
  readonly #memory: CacheSlots;
  readonly #kept = new Map<string, { readonly start: KeptStart; users: number }>();
  #latest: string | undefined;

  constructor(memory: CacheSlots) {
    this.#memory = memory;
  }

  has(key: string): boolean {
    return this.#kept.has(key);
  }

  /** @returns the kept start of this key, to be given back by {@link leave}. */
  use(key: string): KeptStart | undefined {
    const kept = this.#kept.get(key);
    if (kept === undefined) return undefined;
    kept.users += 1;
    this.#latest = key;
    return kept.start;
  }

  /** Keeps a start, whose slots belong to it from here on; the caller uses it. */
  keep(start: KeptStart): KeptStart {
    this.#kept.set(start.key, { start, users: 1 });
    this.#latest = start.key;
    this.#forgetOld();
    return start;
  }

  leave({ key }: KeptStart): void {
    const kept = this.#kept.get(key);
    if (kept !== undefined) kept.users -= 1;
    this.#forgetOld();
  }

  /** Forgets everything; the slots are the caller's business. */
  clear(): void {
    this.#kept.clear();
    this.#latest = undefined;
  }

  #forgetOld(): void {
    for (const [key, { start, users }] of this.#kept) {
      if (users > 0 || key === this.#latest) continue;
      this.#kept.delete(key);
      this.#memory.give(start.slots);
    }
  }
}

/** @returns undefined for a prompt that has no views, or nothing behind them. */
export async function promptStart({
  inputIds,
  positions,
  spliceIndex,
  views,
}: PreparedInputsV1): Promise<PromptStart | undefined> {
  const length = inputIds.length;
  const tokens = spliceIndex.findLastIndex((row) => row >= length) + 1;
  if (tokens === 0 || tokens === length) return undefined;
  const hash = createHash('sha256').update(bytesOf(inputIds.subarray(0, tokens)));
  for (let row = 0; row < positions.length; row += length) {
    hash.update(bytesOf(positions.subarray(row, row + tokens)));
  }
  for (const { layout, pixelValues } of views) {
    hash.update(layout.key).update(bytesOf(pixelValues));
    // Pixels of many views take a while; others have their turn in between.
    await setImmediate();
  }
  return { key: hash.digest('hex'), tokens };
}

const bytesOf = (values: Int32Array | Float32Array): Uint8Array =>
  new Uint8Array(values.buffer, values.byteOffset, values.byteLength);
