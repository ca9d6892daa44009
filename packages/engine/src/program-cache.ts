import type { CompiledProgram } from './devices/index.js';
import { EngineError } from './errors.js';

/** What is done with a program of a cache; the program is kept until the promise settles, and not to be used afterwards. */
export type ProgramWork<Result> = (program: CompiledProgram) => Promise<Result>;

/** One program of a cache, lent for the time of `work`. */
export type ProgramUse = <Result>(work: ProgramWork<Result>) => Promise<Result>;

interface Entry {
  readonly program: Promise<CompiledProgram>;
  /** Pieces of work under way. */
  users: number;
  /** Called when the last of them has ended. */
  whenIdle?: () => void;
}

/**
 * Keeps the most recently used programs, one per shape, and disposes the others. Programs are lent, never handed out: one
 * that is in use stays, also where more than `capacity` are in use at once.
 */
export class ProgramCache {
  /** In the order of use: the first was used longest ago. */
  readonly #entries = new Map<string, Entry>();
  readonly #capacity: number;
  /** Under way. */
  readonly #releases = new Set<Promise<void>>();
  #disposed = false;

  /** @param capacity programs to keep while nobody uses them. */
  constructor(capacity: number) {
    this.#capacity = capacity;
  }

  /** Programs in the cache, those in use among them. */
  get size(): number {
    return this.#entries.size;
  }

  /**
   * Lends the program of a key; `make` runs when it is not there. Concurrent uses of one key share one program.
   * @returns what `work` returns. @throws what `make` or `work` throws; EngineError DISPOSED.
   */
  use<Result>(
    key: string,
    make: () => Promise<CompiledProgram>,
    work: ProgramWork<Result>,
  ): Promise<Result> {
    return this.useAhead(key, make, async (program) => work(await program));
  }

  /** As {@link use}, for work that has something to do while the program is compiled: await it when it is needed. */
  async useAhead<Result>(
    key: string,
    make: () => Promise<CompiledProgram>,
    work: (program: Promise<CompiledProgram>) => Promise<Result>,
  ): Promise<Result> {
    if (this.#disposed) throw disposed();
    const entry = this.#entries.get(key) ?? { program: make(), users: 0 };
    // Inserting again moves the key to the end.
    this.#entries.delete(key);
    this.#entries.set(key, entry);
    entry.users += 1;
    entry.program.catch(() => this.#forget(key, entry));
    try {
      return await work(entry.program);
    } finally {
      entry.users -= 1;
      if (entry.users === 0) entry.whenIdle?.();
      this.#shrink();
    }
  }

  /**
   * Has the program of a key compiled while something else runs, for a {@link use} to come. Nothing is thrown: a failure shows
   * at that use.
   */
  prepare(key: string, make: () => Promise<CompiledProgram>): void {
    this.useAhead(key, make, async () => undefined).catch(() => undefined);
  }

  /** Disposes all programs; one that is in use, when its last user has ended. Resolves when none is left. */
  async dispose(): Promise<void> {
    this.#disposed = true;
    for (const entry of this.#entries.values()) this.#release(entry);
    this.#entries.clear();
    await Promise.all(this.#releases);
  }

  /** Lets go of what nobody uses and is over the capacity. */
  #shrink(): void {
    for (const [key, entry] of this.#entries) {
      if (this.#entries.size <= this.#capacity) return;
      if (entry.users > 0) continue;
      this.#entries.delete(key);
      this.#release(entry);
    }
  }

  #release(entry: Entry): void {
    const release = disposeWhenIdle(entry).finally(() => this.#releases.delete(release));
    this.#releases.add(release);
  }

  #forget(key: string, entry: Entry): void {
    if (this.#entries.get(key) === entry) this.#entries.delete(key);
  }
}

async function disposeWhenIdle(entry: Entry): Promise<void> {
  if (entry.users > 0) {
    await new Promise<void>((resolve) => {
      entry.whenIdle = resolve;
    });
  }
  // A program that failed to compile has nothing to release.
  const program = await entry.program.catch(() => undefined);
  await program?.dispose();
}

const disposed = (): EngineError =>
  new EngineError({
    code: 'DISPOSED',
    message: 'A program was asked for from a cache that is disposed.',
    hint: 'Dispose whatever owns the programs after its last use.',
  });
