import './gradients.js';

export { type BicubicOptions, cubicKernel } from './bicubic.js';
export { userCacheFolder } from './cache-folder.js';
export {
  allocateTensor,
  compile,
  createTensor,
  placeTensors,
  programPeakBytes,
} from './compile.js';
export {
  type CompiledProgram,
  type CompileOptions,
  type CompileStats,
  type Device,
  type DeviceTensor,
  deviceNames,
  openDevice,
  type ProgramTarget,
  type ReplayCounts,
  type RunOptions,
  type RunValue,
  registerDevice,
} from './devices/index.js';
export { type MachineInfo, machineInfo } from './devices/kernel-choice/cache.js';
export {
  type KernelRecord,
  type KernelReport,
  kernelRecord,
  kernelReport,
  pinKernels,
} from './devices/kernel-choice/index.js';
export { defaultPrecision } from './devices/precision-support.js';
export { type Differentiated, differentiate } from './differentiate.js';
export { CodedError, EngineError, type EngineErrorCode, isMarked } from './errors.js';
export {
  type ArenaMemory,
  arenaMemory,
  type CudaReport,
  configureEnvironment,
  cudaReport,
  executorInfo,
  type GpuMemory,
  gpuMemory,
  liveHandles,
  probeDevice,
  providerNamed,
  saysNoMemory,
  trimMemory,
} from './executor/index.js';
export { createFlatTensors, type FlatPlace, type FlatTensors } from './flat-tensors.js';
export {
  type BoundUpdate,
  type ElementwiseProgram,
  FusedUpdate,
  type FusedUpdateOptions,
  UPDATE_BLOCK,
  type UpdatedArray,
} from './fused-update/index.js';
export {
  type GraphArray,
  type GraphFile,
  type GraphResult,
  type GraphValueInfo,
  openGraph,
} from './graph-file.js';
export { defineKernel, type Emit } from './kernels/index.js';
export * as ops from './ops/index.js';
export { ProgramCache, type ProgramUse, type ProgramWork } from './program-cache.js';
export {
  type DType,
  float32,
  type HostArray,
  int32,
  type MappedTensor,
  PRECISIONS,
  type Precision,
  type Program,
  type SpecTree,
  type StoredType,
  sizeOf,
  type TensorSpec,
  type Tree,
  type WeightSpec,
  weightSpec,
} from './specs.js';
export { takeValues } from './take-values.js';
export { TensorPool } from './tensor-pool.js';
export { type Tensor, type TensorInfo, tf } from './tfjs.js';
export { flatten, mapTree, nest } from './tree.js';
export { availableMemory } from './weights/available-memory.js';
export {
  largestWeightCopy,
  WEIGHT_POLICIES,
  type WeightPolicy,
  type WeightReport,
  WeightSet,
  type WeightSetOptions,
} from './weights/weight-set.js';
