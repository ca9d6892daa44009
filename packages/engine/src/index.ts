export * as ops from './ops/index.js';
export {
  type DType,
  float32,
  type HostArray,
  int32,
  type MappedTensor,
  type Program,
  type SpecTree,
  type TensorSpec,
  type Tree,
} from './specs.js';
export { type Tensor, type TensorInfo, tf } from './tfjs.js';
