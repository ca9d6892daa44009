export { checkStorableLabels, LABEL_LIMITS } from './check-storable.js';
export { type Claim, DEFAULT_LEASE_MS } from './claims.js';
export type { OpenStoreOptions } from './environment.js';
export { type LabelKeyRequest, labelKey } from './label-key.js';
export { LabelStore } from './label-store.js';
export { featureTensor } from './precision.js';
export type { LabelledImage, LabelSummary, StoredField, StoredLabels } from './types.js';
