import type { CompiledProgram } from './devices/index.js';

/** Keeps the most recently used programs, one per shape, and disposes the others. */
export class ProgramCache {
  private readonly programs = new Map<string, Promise<CompiledProgram>>();

  /** @param capacity programs to keep, at least 1. */
  readonly capacity: number;

  constructor(capacity: number) {
    this.capacity = capacity;
  }

  /** The program of a key; `make` runs when it is not there. Concurrent calls of one key share one program. */
  async get(key: string, make: () => Promise<CompiledProgram>): Promise<CompiledProgram> {
    const known = this.programs.get(key);
    const program = known ?? make();
    // Re-inserting moves the key to the end: the map's order is the order of use.
    this.programs.delete(key);
    this.programs.set(key, program);
    program.catch(() => this.forget(key, program));
    this.evict();
    return program;
  }

  get size(): number {
    return this.programs.size;
  }

  async dispose(): Promise<void> {
    const all = [...this.programs.values()];
    this.programs.clear();
    await Promise.all(all.map(release));
  }

  private evict(): void {
    for (const [key, program] of this.programs) {
      if (this.programs.size <= this.capacity) return;
      this.programs.delete(key);
      void release(program);
    }
  }

  private forget(key: string, program: Promise<CompiledProgram>): void {
    if (this.programs.get(key) === program) this.programs.delete(key);
  }
}

/** Waits for runs under way; a program that failed to compile has nothing to release. */
async function release(program: Promise<CompiledProgram>): Promise<void> {
  const ready = await program.catch(() => undefined);
  await ready?.dispose();
}
