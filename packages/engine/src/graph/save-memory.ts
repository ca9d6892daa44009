import type { Graph } from './graph.js';
import type { MemoryPlan } from './memory-plan.js';
import { separateBuffers } from './own-buffers.js';
import { recomputeCheap } from './recompute.js';

/** Lowers what a run of a graph needs at once, without changing what it computes. The graph is changed in place. @returns its plan then. */
export function saveMemory(graph: Graph): MemoryPlan {
  recomputeCheap(graph);
  return separateBuffers(graph);
}
