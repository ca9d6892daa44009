export { ops, type Tensor, tf } from '@spatialsv/engine';
export { type ErrorCode, SpatialError } from './errors.js';
export * from './spec.js';
export {
  blockShapes,
  decode,
  type DecodeRequest,
  type DecoderConfig,
  decoderLogits,
  type DecoderNames,
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
