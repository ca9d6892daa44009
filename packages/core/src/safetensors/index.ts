export type { SafetensorsDType } from './dtypes.js';
export { openSafetensors, openWeights, SafetensorsReader, type StoredTensor } from './reader.js';
export {
  copySource,
  float32Source,
  replaceWeights,
  saveWeights,
  type TensorSource,
  type TensorSources,
  type WriteOptions,
  writeSafetensors,
} from './writer.js';
