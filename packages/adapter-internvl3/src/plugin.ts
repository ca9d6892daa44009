import { definePlugin } from '@spatialsv/core/spec';

/** Contributes the backbone adapters of InternVL3. */
export default definePlugin({
  specificationVersion: 'v1',
  contributions: () => [],
});
