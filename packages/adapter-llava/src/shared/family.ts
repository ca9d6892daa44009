import type { FamilyDefaults } from '@spatialsv/core/kit';

/** Of both models that are called LLaVA-NeXT-Video (paper, Table 6). */
export const NEXT_VIDEO_FAMILY: FamilyDefaults = {
  learningRates: { languageModel: 1e-5, projector: 1e-5, spatial: 1e-5 },
  models: { '32x4096': 'LLaVA-NeXT-Video-7B', '28x3584': 'LLaVA-Video-7B-Qwen2' },
  taps: { 28: [4, 11, 18, 25], 32: [4, 11, 18, 25] },
};
