/** Importing this module registers every kernel of the trace backend. */
import './attention.js';
import './conv.js';
import './elementwise.js';
import './fused.js';
import './gather.js';
import './matmul.js';
import './pool.js';
import './reduce.js';
import './resize.js';
import './shape.js';

export { type Attributes, defineKernel, type Emit } from './registry.js';
