import { createHash } from 'node:crypto';
import { type DecoderCache, type PreparedInputsV1, roundUp, TOKEN_BUCKET } from '@spatialsv/core';

/** The part of a prompt up to its last visual token. */
export interface PromptStart {
  /** Equal where ids, positions and pixels are. */
  readonly key: string;
  readonly tokens: number;
  /** Of the whole prompt. */
  readonly length: number;
}

/**
 * Keys and values of the prompt that was answered last. Many questions are asked about the same views: what stands in front of
 * the question, system prompt and views, is encoded and decoded once for all of them.
 */
export class SharedStarts {
  #kept: { readonly key: string; readonly cache: DecoderCache } | undefined;
  #isDisposed = false;

  /** @returns undefined for a prompt that has no views, or nothing behind them. */
  of({ inputIds, positions, spliceIndex, views }: PreparedInputsV1): PromptStart | undefined {
    const length = inputIds.length;
    const tokens = spliceIndex.findLastIndex((row) => row >= length) + 1;
    if (tokens === 0 || tokens === length) return undefined;
    const hash = createHash('sha256').update(bytesOf(inputIds.subarray(0, tokens)));
    for (let row = 0; row < positions.length; row += length) {
      hash.update(bytesOf(positions.subarray(row, row + tokens)));
    }
    for (const { layout, pixelValues } of views)
      hash.update(layout.key).update(bytesOf(pixelValues));
    return { key: hash.digest('hex'), tokens, length };
  }

  /**
   * The cache that holds this start and has room for the rest of the prompt and an answer. It is the caller's until it is kept
   * again; without one the caller makes its own.
   */
  take({ key, tokens, length }: PromptStart, limit: number): DecoderCache | undefined {
    const kept = this.#kept;
    const padded = tokens + roundUp(length - tokens, TOKEN_BUCKET);
    const needed = Math.max(padded, length + limit);
    if (kept?.key !== key || kept.cache.capacity < needed) return undefined;
    this.#kept = undefined;
    return kept.cache;
  }

  /** Keeps this cache in place of the one before. */
  keep({ key }: PromptStart, cache: DecoderCache): void {
    this.#kept?.cache.dispose();
    this.#kept = undefined;
    if (this.#isDisposed) cache.dispose();
    else this.#kept = { key, cache };
  }

  dispose(): void {
    this.#isDisposed = true;
    this.#kept?.cache.dispose();
    this.#kept = undefined;
  }
}

const bytesOf = (values: Int32Array | Float32Array): Uint8Array =>
  new Uint8Array(values.buffer, values.byteOffset, values.byteLength);
