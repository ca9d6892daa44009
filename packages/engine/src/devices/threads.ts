import { environment } from '../executor/environment.js';
import type { SessionOptions } from '../executor/index.js';
import { RUNS_AT_ONCE } from '../executor/run-slots.js';
import type { Graph } from '../graph/graph.js';
import type { CompileOptions } from './device.js';

/** The threads of a graph that runs in one session on the CPU. */
export function threadsOf(
  { threading }: Pick<Graph, 'threading'>,
  { rests, singleThread }: Pick<CompileOptions, 'rests' | 'singleThread'>,
): Pick<SessionOptions, 'threads' | 'restsBetweenRuns'> {
  if (threading !== 'shared' || singleThread) return { threads: 1 };
  return rests === true ? { threads: environment().threads, restsBetweenRuns: true } : {};
}

/** Pieces of a graph that run at the same time, each on one thread; more would wait for each other. */
export const piecesAtOnce = (): number => Math.min(environment().threads, RUNS_AT_ONCE);
