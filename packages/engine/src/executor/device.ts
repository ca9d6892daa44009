import { EngineError } from '../errors.js';
import { api, type Pointer } from './api.js';
import { describeMemory, environment } from './environment.js';
import { Lane } from './lane.js';
import { call, create, type Failure } from './status.js';

/** Devices that ONNX Runtime executes on. */
export type ExecutorDevice = 'cpu' | 'webgpu' | 'cuda';

const MEMORY_NAME: Record<ExecutorDevice, string> = {
  cpu: 'Cpu',
  webgpu: 'WebGPU_Buf',
  cuda: 'Cuda',
};
const memories = new Map<ExecutorDevice, Pointer>();
const lanes = new Map<ExecutorDevice, Lane>();

/** OrtMemoryInfo of a device's memory; kept for the life of the process. */
export function memoryOf(device: ExecutorDevice): Pointer {
  if (device === 'cpu') return environment().cpuMemory;
  const known = memories.get(device);
  if (known !== undefined) return known;
  const memory = describeMemory(MEMORY_NAME[device]);
  memories.set(device, memory);
  return memory;
}

export function deviceOfMemory(name: string): ExecutorDevice {
  const found = Object.entries(MEMORY_NAME).find(([, memoryName]) => memoryName === name);
  if (found) return found[0] as ExecutorDevice;
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
export function laneOf(device: ExecutorDevice): Lane {
  if (device === 'cpu') return new Lane();
  const lane = lanes.get(device) ?? new Lane();
  lanes.set(device, lane);
  return lane;
}

const HINT: Record<ExecutorDevice, string> = {
  cpu: 'Reinstall onnxruntime-node.',
  webgpu:
    'A Vulkan, Metal or Direct3D 12 driver is needed; for software rendering point VK_DRIVER_FILES at a SwiftShader ICD file.',
  cuda: 'Run `ONNXRUNTIME_NODE_INSTALL=cuda12 node node_modules/onnxruntime-node/script/install.js` and install CUDA 12 and cuDNN 9; or use device "webgpu" or "cpu".',
};

export const unavailable = (device: ExecutorDevice): Failure => ({
  code: 'DEVICE_UNAVAILABLE',
  doing: `opening device "${device}"`,
  hint: HINT[device],
});

/** Adds the execution provider of `device` to session options. @throws EngineError DEVICE_UNAVAILABLE. */
export function appendProvider(options: Pointer, device: ExecutorDevice): void {
  if (device === 'webgpu') appendWebGpu(options);
  if (device === 'cuda') appendCuda(options);
}

function appendWebGpu(options: Pointer): void {
  const failure = unavailable('webgpu');
  call('SessionOptionsAppendExecutionProvider', failure, options, 'WebGPU', [], [], 0);
}

function appendCuda(options: Pointer): void {
  const failure = unavailable('cuda');
  const provider = create(failure, (out) => call('CreateCUDAProviderOptions', failure, out));
  try {
    call('SessionOptionsAppendExecutionProvider_CUDA_V2', failure, options, provider);
  } finally {
    api().ReleaseCUDAProviderOptions(provider);
  }
}
