import { definePlugin } from '@spatialsv/core';
import { da3Source } from './da3-source.js';

/** Contributes the supervision source `dav3`. */
export default definePlugin({
  specificationVersion: 'v1',
  contributions: () => [da3Source],
});
