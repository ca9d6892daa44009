import type { Graph } from './graph.js';
import { separateBuffers } from './own-buffers.js';
import { recomputeCheap } from './recompute.js';

/** Lowers what a run of a graph needs at once, without changing what it computes. The graph is changed in place. */
export function saveMemory(graph: Graph): void {
  recomputeCheap(graph);
  separateBuffers(graph);
}
