export { BoundUpdate, FusedUpdate } from './fused-update.js';
export type { UpdatedArray } from './pieces.js';
export { type ElementwiseProgram, type FusedUpdateOptions, UPDATE_BLOCK } from './plan.js';
