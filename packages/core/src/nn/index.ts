export { createDecoder } from './decoder.js';
export {
  blockShapes,
  type DecoderConfig,
  type DecoderNames,
  decoderShapes,
  type RopeConfig,
  type RopeScaling,
} from './decoder-config.js';
export { LOW_RANK_NAMES, type ParameterScope, parameterScope } from './parameter-scope.js';
export { inverseFrequencies, type RotaryTables, rotaryTables } from './rope.js';
export {
  groupsOfViews,
  jointVisionBlock,
  layerNorm,
  linearLayer,
  type PositionResampling,
  patchEmbedding,
  resamplePositionEmbedding,
  rotary2d,
  type VisionBlockConfig,
  viewsOfGroups,
  visionBlock,
} from './vision-transformer.js';
