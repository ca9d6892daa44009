export { ops, type Tensor, tf } from '@spatialsv/engine';
export { type ErrorCode, SpatialError } from './errors.js';
export {
  blockShapes,
  type DecodeRequest,
  type DecoderConfig,
  type DecoderNames,
  decode,
  decoderLogits,
  decoderShapes,
  embedTokens,
  inverseFrequencies,
  nearestName,
  type ParameterScope,
  parameterScope,
  type RopeConfig,
  type RopeScaling,
  type RotaryTables,
  rotaryTables,
} from './nn/index.js';
export * from './spec.js';
