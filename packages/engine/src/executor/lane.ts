/** First come, first served: one piece of work at a time, started without delay when nothing is under way. */
export class Lane {
  #last: Promise<unknown> | undefined;

  get busy(): boolean {
    return this.#last !== undefined;
  }

  run<T>(work: () => Promise<T>): Promise<T> {
    const result = this.#last ? this.#last.then(work, work) : work();
    // The tail never rejects: a failed run belongs to its caller, not to the next in line.
    const tail: Promise<void> = result.then(
      () => this.#leave(tail),
      () => this.#leave(tail),
    );
    this.#last = tail;
    return result;
  }

  /** Runs `action` at once when idle, otherwise after everything that is already in line. */
  whenIdle(action: () => void): void {
    if (!this.busy) action();
    else void this.run(async () => action());
  }

  #leave(tail: Promise<unknown>): void {
    if (this.#last === tail) this.#last = undefined;
  }
}
