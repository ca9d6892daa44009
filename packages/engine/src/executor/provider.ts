import { EngineError } from '../errors.js';
import { api, type Pointer } from './api.js';
import { describeMemory, environment } from './environment.js';
import { Lane } from './lane.js';
import { call, create, type Failure } from './status.js';

/** Execution providers of ONNX Runtime, by the names of the devices that they run. */
export type ExecutionProvider = 'cpu' | 'webgpu' | 'cuda';

const MEMORY_NAME: Record<ExecutionProvider, string> = {
  cpu: 'Cpu',
  webgpu: 'WebGPU_Buf',
  cuda: 'Cuda',
};
const memories = new Map<ExecutionProvider, Pointer>();
const lanes = new Map<ExecutionProvider, Lane>();

/** OrtMemoryInfo of a provider's memory; kept for the life of the process. */
export function memoryOf(provider: ExecutionProvider): Pointer {
  if (provider === 'cpu') return environment().cpuMemory;
  const known = memories.get(provider);
  if (known !== undefined) return known;
  const memory = describeMemory(MEMORY_NAME[provider]);
  memories.set(provider, memory);
  return memory;
}

export function providerOfMemory(name: string): ExecutionProvider {
  const found = Object.entries(MEMORY_NAME).find(([, memoryName]) => memoryName === name);
  if (found) return found[0] as ExecutionProvider;
  throw new EngineError({
    code: 'VALUE_INVALID',
    message: `a value lies in memory "${name}": expected one of ${Object.values(MEMORY_NAME).join(', ')}`,
    hint: 'Bind the output to a device that the executor knows.',
  });
}

/**
 * Where the runs of a session queue. Sessions of the CPU run side by side; sessions of one GPU share a lane, because two
 * WebGPU sessions at work at once can crash ONNX Runtime 1.30.
 */
export function laneOf(provider: ExecutionProvider): Lane {
  if (provider === 'cpu') return new Lane();
  const lane = lanes.get(provider) ?? new Lane();
  lanes.set(provider, lane);
  return lane;
}

const HINT: Record<ExecutionProvider, string> = {
  cpu: 'Reinstall onnxruntime-node.',
  webgpu:
    'A Vulkan, Metal or Direct3D 12 driver is needed; for software rendering point VK_DRIVER_FILES at a SwiftShader ICD file.',
  cuda: 'Run `ONNXRUNTIME_NODE_INSTALL=cuda12 node node_modules/onnxruntime-node/script/install.js` and install CUDA 12 and cuDNN 9; or use device "webgpu" or "cpu".',
};

export const unavailable = (provider: ExecutionProvider): Failure => ({
  code: 'DEVICE_UNAVAILABLE',
  doing: `opening device "${provider}"`,
  hint: HINT[provider],
});

/** Adds an execution provider to session options. @throws EngineError DEVICE_UNAVAILABLE. */
export function appendProvider(options: Pointer, provider: ExecutionProvider): void {
  if (provider === 'webgpu') appendWebGpu(options);
  if (provider === 'cuda') appendCuda(options);
}

function appendWebGpu(options: Pointer): void {
  const failure = unavailable('webgpu');
  call('SessionOptionsAppendExecutionProvider', failure, options, 'WebGPU', [], [], 0);
}

function appendCuda(options: Pointer): void {
  const failure = unavailable('cuda');
  const settings = create(failure, (out) => call('CreateCUDAProviderOptions', failure, out));
  try {
    call('SessionOptionsAppendExecutionProvider_CUDA_V2', failure, options, settings);
  } finally {
    api().ReleaseCUDAProviderOptions(settings);
  }
}
