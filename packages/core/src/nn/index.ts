export { createDecoder } from './decoder.js';
export {
  blockShapes,
  type DecoderConfig,
  type DecoderNames,
  decoderShapes,
  type RopeConfig,
  type RopeScaling,
} from './decoder-config.js';
export {
  DROPOUT_NAMES,
  LOW_RANK_NAMES,
  type ParameterScope,
  parameterScope,
  type WeightRows,
} from './parameter-scope.js';
export { inverseFrequencies, type RotaryTables, rotaryTables } from './rope.js';
export {
  groupsOfViews,
  jointVisionBlock,
  type Segment,
  type VisionBlockOptions,
  viewsOfGroups,
  visionBlock,
} from './vision-block.js';
export {
  type Activation,
  CLIP_NAMES,
  DINO_NAMES,
  dinoBlock,
  layerShapes,
  type NormConfig,
  normShapes,
  type PositionResampling,
  type Shape,
  type Shapes,
  shapesBelow,
  type TableName,
  towerShapes,
  type VisionBlockConfig,
  type VisionBlockNames,
  type VisionRotaryConfig,
  type VisionTowerConfig,
  type VisionTowerNames,
  visionBlockShapes,
} from './vision-config.js';
export { activate, layerNorm, normalise } from './vision-layers.js';
export { embedPatches, patchEmbedding } from './vision-patches.js';
export {
  type PatchGrid,
  resamplePositionEmbedding,
  rotary2d,
} from './vision-positions.js';
export {
  type VisionInput,
  type VisionOutput,
  type VisionRequest,
  visionTower,
} from './vision-transformer.js';
