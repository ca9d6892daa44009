import { definePlugin } from '@spatialsv/core/spec';

/** Contributes the backbone adapters of LLaVA. */
export default definePlugin({
  specificationVersion: 'v1',
  contributions: () => [],
});
