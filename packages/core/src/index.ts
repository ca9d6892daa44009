export { ops, type Tensor, tf } from '@spatialsv/engine';
export { type ErrorCode, SpatialError } from './errors.js';
export * from './spec.js';
