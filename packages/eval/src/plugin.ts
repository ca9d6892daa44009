import { definePlugin } from '@spatialsv/core/spec';
import { mindCubeBenchmark } from './benchmarks/mindcube.js';

/** Contributes the benchmarks that come with this package. */
export default definePlugin({
  specificationVersion: 'v1',
  contributions: () => [mindCubeBenchmark],
});
