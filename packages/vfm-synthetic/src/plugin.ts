import { definePlugin } from '@spatialsv/core';
import { syntheticSource } from './source.js';

/** Contributes the supervision source `synthetic`. */
export default definePlugin({
  specificationVersion: 'v1',
  contributions: () => [syntheticSource],
});
