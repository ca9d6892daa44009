import type { CompileStats } from '@spatialsv/engine';

/** What the programs of a runner took so far. */
export interface ProgramUsage {
  /** Most bytes of results that were held at once: within a program, and between programs. */
  readonly workingBytes: number;
  /** Nodes of all programs that ran. */
  readonly nodes: number;
}

/** Keeps account of what programs take. */
export class UsageMeter {
  readonly #nodes = new Map<string, number>();
  #within = 0;
  #between = 0;

  /** A program runs. */
  note(key: string, { nodes, workingBytes }: CompileStats): void {
    this.#nodes.set(key, nodes);
    this.#within = Math.max(this.#within, workingBytes);
  }

  /** So many bytes are held from one program to the next. */
  hold(bytes: number): void {
    this.#between = Math.max(this.#between, bytes);
  }

  get usage(): ProgramUsage {
    const nodes = [...this.#nodes.values()].reduce((sum, count) => sum + count, 0);
    return { workingBytes: this.#within + this.#between, nodes };
  }
}
