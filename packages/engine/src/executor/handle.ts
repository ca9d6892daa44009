import { EngineError } from '../errors.js';
import type { Pointer } from './api.js';

let live = 0;
let idle = 0;

/** Native objects of this process that somebody uses: neither disposed nor kept for the next user. */
export const liveHandles = (): number => live - idle;

/** Counts objects that are kept without a user. */
export function countIdle(change: 1 | -1): void {
  idle += change;
}

/** Owner of one native object: gives its address until it is disposed, and releases it exactly once. */
export class Handle {
  #pointer: Pointer | undefined;
  readonly #kind: string;
  readonly #release: (pointer: Pointer) => void;

  constructor(kind: string, pointer: Pointer, release: (pointer: Pointer) => void) {
    this.#kind = kind;
    this.#pointer = pointer;
    this.#release = release;
    live += 1;
  }

  get disposed(): boolean {
    return this.#pointer === undefined;
  }

  /** @throws EngineError DISPOSED. */
  get pointer(): Pointer {
    if (this.#pointer !== undefined) return this.#pointer;
    throw new EngineError({
      code: 'DISPOSED',
      message: `${this.#kind} is used after it was disposed`,
      hint: 'Keep it until the last run that needs it has ended.',
    });
  }

  dispose(): void {
    if (this.#pointer === undefined) return;
    const pointer = this.#pointer;
    this.#pointer = undefined;
    live -= 1;
    this.#release(pointer);
  }
}
