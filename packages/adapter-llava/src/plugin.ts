import { definePlugin } from '@spatialsv/core/spec';
import { llavaNextVideo } from './next-video/adapter.js';
import { llavaNextVideoSiglip } from './next-video-siglip/adapter.js';
import { llavaOneVision } from './onevision/adapter.js';
import { llavaOneVision15 } from './onevision-15/adapter.js';

/** Contributes the backbone adapters of LLaVA. */
export default definePlugin({
  specificationVersion: 'v1',
  contributions: () => [llavaNextVideo, llavaNextVideoSiglip, llavaOneVision, llavaOneVision15],
});
