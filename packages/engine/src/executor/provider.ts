import { EngineError } from '../errors.js';
import type { Pointer } from './api.js';
import { installHint } from './cuda/installation.js';
import { cudaInstallation } from './cuda/link-folder.js';
import { appendCuda } from './cuda/open-cuda.js';
import { describeMemory, environment, runOptions } from './environment.js';
import { Lane } from './lane.js';
import { call, type Failure } from './status.js';

/** Execution providers of ONNX Runtime. */
export const PROVIDER_KINDS = ['cpu', 'webgpu', 'cuda'] as const;
export type ProviderKind = (typeof PROVIDER_KINDS)[number];
/** By the names of the devices that they run: `cuda` is the first NVIDIA GPU, `cuda:1` the second one. */
export type ExecutionProvider = ProviderKind | `cuda:${number}`;

export const kindOf = (provider: ExecutionProvider): ProviderKind =>
  provider.split(':')[0] as ProviderKind;

/** Number of the device among those of its kind. */
export const indexOf = (provider: ExecutionProvider): number => Number(provider.split(':')[1] ?? 0);

/** The provider of a device; undefined for a device of another kind. */
export function providerNamed(device: string): ExecutionProvider | undefined {
  const [, index] = /^cuda:(\d{1,3})$/.exec(device) ?? [];
  if (index !== undefined) return Number(index) === 0 ? 'cuda' : `cuda:${Number(index)}`;
  return PROVIDER_KINDS.find((kind) => kind === device);
}

const MEMORY_NAME: Record<ProviderKind, string> = {
  cpu: 'Cpu',
  webgpu: 'WebGPU_Buf',
  cuda: 'Cuda',
};
const memories = new Map<ExecutionProvider, Pointer>();
const lanes = new Map<ExecutionProvider, Lane>();
const runs = new Map<string, Pointer>();

/** OrtMemoryInfo of a provider's memory; kept for the life of the process. */
export function memoryOf(provider: ExecutionProvider): Pointer {
  if (provider === 'cpu') return environment().cpuMemory;
  const known = memories.get(provider);
  if (known !== undefined) return known;
  const memory = describeMemory(MEMORY_NAME[kindOf(provider)], indexOf(provider));
  memories.set(provider, memory);
  return memory;
}

/** @param name of the memory of a device. @param index number of the device. */
export function providerOfMemory(name: string, index: number): ExecutionProvider {
  const found = Object.entries(MEMORY_NAME).find(([, memoryName]) => memoryName === name);
  if (found?.[0] === 'cuda' && index > 0) return `cuda:${index}`;
  if (found) return found[0] as ProviderKind;
  throw new EngineError({
    code: 'VALUE_INVALID',
    message: `a value lies in memory "${name}": expected one of ${Object.values(MEMORY_NAME).join(', ')}`,
    hint: 'Bind the output to a device that the executor knows.',
  });
}

export interface RunKind {
  /** Whether the run gives back what its device, and the CPU, have free when it ends. */
  readonly trims: boolean;
  /** Whether the run ends when its results are there; otherwise when all of its work stands in line on the device. */
  readonly waits: boolean;
  /**
   * Number of the CUDA graph that the run is, which it records where there is none; of a session that replays. Absent: it is run
   * node by node.
   */
  readonly graph?: number | undefined;
}

/** OrtRunOptions of a run, null for the defaults; kept for the life of the process. */
export function runOptionsOf(
  provider: ExecutionProvider,
  { trims, waits, graph }: RunKind,
): Pointer | null {
  // Only the sessions of an NVIDIA GPU share a stream, on which the next run comes after this one.
  const goesOn = kindOf(provider) === 'cuda' && !waits;
  if (!trims && !goesOn && graph === undefined) return null;
  const arenas = kindOf(provider) === 'cuda' ? `cpu:0;gpu:${indexOf(provider)}` : 'cpu:0';
  const entries = {
    ...(trims && { 'memory.enable_memory_arena_shrinkage': arenas }),
    ...(goesOn && { disable_synchronize_execution_providers: '1' }),
    ...(graph !== undefined && { gpu_graph_id: String(graph) }),
  };
  const key = JSON.stringify(entries);
  const known = runs.get(key) ?? runOptions(entries);
  runs.set(key, known);
  return known;
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

/**
 * Where sessions are made: beside the runs of others, unless the device has room for one piece of work at a time.
 * @see laneOf
 */
export const makesBesideRuns = (provider: ExecutionProvider): boolean =>
  kindOf(provider) !== 'webgpu';

const HINT: Record<Exclude<ProviderKind, 'cuda'>, string> = {
  cpu: 'Reinstall onnxruntime-node.',
  webgpu:
    'A driver for Vulkan (and its loader, on Debian libvulkan1), Metal or Direct3D 12 is needed; for software rendering point VK_DRIVER_FILES at a SwiftShader ICD file.',
};

export const unavailable = (provider: ExecutionProvider): Failure => ({
  code: 'DEVICE_UNAVAILABLE',
  doing: `opening device "${provider}"`,
  hint: kindOf(provider) === 'cuda' ? installHint(cudaInstallation()) : HINT[provider as 'cpu'],
});

/** Adds an execution provider to session options. @throws EngineError DEVICE_UNAVAILABLE. */
export function appendProvider(
  options: Pointer,
  provider: ExecutionProvider,
  replays = false,
): void {
  if (provider === 'webgpu') appendWebGpu(options);
  if (kindOf(provider) === 'cuda')
    appendCuda(options, indexOf(provider), memoryOf(provider), replays);
}

function appendWebGpu(options: Pointer): void {
  const failure = unavailable('webgpu');
  call('SessionOptionsAppendExecutionProvider', failure, options, 'WebGPU', [], [], 0);
}
