/**
 * Native calls run on the threads of libuv's pool, which Node also reads files with. Runs of programs take turns on all but
 * this many of them: a program can be compiled, or a file be read, however many runs are asked for.
 */
const KEPT_FREE = 2;
/** libuv's own default, and its variable. */
const POOL_THREADS = Number(process.env['UV_THREADPOOL_SIZE']) || 4;

/** Pieces of work of which at most so many are at work at once; the others wait in line. */
export class Slots {
  #free: number;
  readonly #waiting: (() => void)[] = [];

  constructor(count: number) {
    this.#free = count;
  }

  async run<Result>(work: () => Promise<Result>): Promise<Result> {
    if (this.#free > 0) this.#free -= 1;
    else await new Promise<void>((start) => this.#waiting.push(start));
    try {
      return await work();
    } finally {
      const next = this.#waiting.shift();
      if (next === undefined) this.#free += 1;
      else next();
    }
  }
}

/** Native runs that are at work at once at most. */
export const RUNS_AT_ONCE = Math.max(1, POOL_THREADS - KEPT_FREE);

/** Slots of the runs that share the threads of ONNX Runtime: more of them at once would only wait for each other. */
export const runSlots = new Slots(RUNS_AT_ONCE);
