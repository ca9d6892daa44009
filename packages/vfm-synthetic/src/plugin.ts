import { definePlugin } from '@spatialsv/core';
import { createSyntheticSource } from './source.js';

/** Contributes the supervision source `synthetic`. */
export default definePlugin({
  specificationVersion: 'v1',
  contributions: () => [createSyntheticSource()],
});
