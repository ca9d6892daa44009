import { definePlugin } from '@spatialsv/core';
import { vggtSource } from './vggt-source.js';

/** Contributes the supervision source `vggt`. */
export default definePlugin({
  specificationVersion: 'v1',
  contributions: () => [vggtSource],
});
