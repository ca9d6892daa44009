export {
  allocateHost,
  bytesPerElement,
  type ElementType,
  type HostMemory,
} from '../onnx/element-type.js';
export { Binding } from './binding.js';
export { type CudaReport, cudaReport, gpuMemory } from './cuda/open-cuda.js';
export type { GpuMemory } from './cuda/runtime.js';
export {
  configureEnvironment,
  type EnvironmentOptions,
  executorInfo,
  largestTensorBytes,
} from './environment.js';
export { FileMapping, type FileRange } from './file-mapping.js';
export { liveHandles } from './handle.js';
export { collectGarbage, trimHeap } from './heap.js';
export { inHugePages } from './huge-pages.js';
export { Lane } from './lane.js';
export { locateLibrary } from './library.js';
export {
  type ExecutionProvider,
  indexOf,
  kindOf,
  PROVIDER_KINDS,
  providerNamed,
} from './provider.js';
export { recordingGate } from './recording-gate.js';
export {
  type OptimizationLevel,
  Session,
  type SessionOptions,
} from './session.js';
export { type SessionLease, sessionPool } from './session-pool.js';
export { saysNoMemory } from './status.js';
export {
  type ArenaMemory,
  allocateOnDevice,
  arenaMemory,
  convert,
  copyValue,
  makeRoomToStay,
  probeDevice,
  readToHost,
  trimMemory,
  uploadFromHost,
  uploadValue,
  writeFromHost,
} from './transfer.js';
export { DeviceValue, type ValueInfo } from './value.js';
