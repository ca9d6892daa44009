export { type BlockGradients, blockGradients } from './block-gradients.js';
export {
  CompiledDecoder,
  type CompiledDecoderOptions,
  type DecodedStates,
} from './compiled-decoder.js';
export {
  type DecodedSequence,
  type DecodeInputs,
  type DecodeRequest,
  decodeSequence,
  embedSequence,
  neededLayers,
  type SequenceTensors,
} from './decode-sequence.js';
export type { DecoderCache } from './decoder-cache.js';
export { layerNames, layerParameters } from './layer-parameters.js';
export type { DecoderSizes } from './layer-programs.js';
export type { NextTokens } from './next-rows.js';
export { type PaddedSequence, padSequence, roundUp, TOKEN_BUCKET } from './sequence-layout.js';
export {
  isViewSite,
  layerOfSite,
  parseLayer,
  parseTapSite,
  siteIndex,
  siteOfLayer,
} from './tap-sites.js';
export { bindWeights, type Weight, type WeightBinding, type Weights } from './weight-binding.js';
