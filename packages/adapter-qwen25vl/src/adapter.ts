import type { BackboneAdapterV1 } from '@spatialsv/core';
import { ADAPTER_ID, openQwen25Vl } from './qwen25vl-backbone.js';
import { isQwen25Vl } from './qwen25vl-config.js';
import { writeTinyQwen25Vl } from './tiny-checkpoint.js';

/** Backbone adapter of Qwen2.5-VL (3B, 7B and any other size of the architecture). */
export const qwen25Vl: BackboneAdapterV1 = {
  specificationVersion: 'v1',
  kind: 'backbone-adapter',
  id: ADAPTER_ID,
  accepts: isQwen25Vl,
  open: openQwen25Vl,
  writeTiny: writeTinyQwen25Vl,
};
