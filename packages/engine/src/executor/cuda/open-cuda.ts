import type { LibraryHandle } from 'koffi';
import { EngineError } from '../../errors.js';
import { api, type Pointer } from '../api.js';
import { environment } from '../environment.js';
import { keepForeign } from '../library.js';
import { call, create, type Failure } from '../status.js';
import { type CudaInstallation, installHint } from './installation.js';
import { cudaInstallation } from './link-folder.js';
import {
  type CudaRuntime,
  createStream,
  describeRuntime,
  type GpuMemory,
  memoryOfGpu,
} from './runtime.js';

/** What `doctor` says of CUDA. */
export interface CudaReport extends CudaInstallation {
  /** What the loader could not find, in its words. */
  readonly missing?: string;
  /** Absent where CUDA's runtime could not be loaded. */
  readonly runtime?: CudaRuntime;
}

let libraries: CudaReport | undefined;
let loaded: CudaReport | undefined;
let runtimeLibrary: LibraryHandle | undefined;

/** Loads what there is of CUDA and says what is missing. Opens no GPU. */
export function cudaReport(): CudaReport {
  loaded ??= withProvider(cudaLibraries());
  return loaded;
}

/**
 * As {@link cudaReport}, without the provider: a process that has loaded it and made no session can crash when it exits, where ONNX
 * Runtime has one thread.
 */
function cudaLibraries(): CudaReport {
  libraries ??= loadLibraries(cudaInstallation());
  return libraries;
}

function withProvider(report: CudaReport): CudaReport {
  const { provider, missing, runtime } = report;
  const usable = provider !== null && missing === undefined && runtime?.problem === undefined;
  const problem = usable ? missingLibrary() : undefined;
  return problem === undefined ? report : { ...report, missing: problem };
}

const failureAt = (doing: string): Failure => ({
  code: 'DEVICE_UNAVAILABLE',
  doing,
  hint: installHint(cudaInstallation()),
});

/**
 * Checks that a GPU can be used before ONNX Runtime is asked, which ends the process over some of what may be missing.
 * @throws EngineError DEVICE_UNAVAILABLE with what is missing.
 */
function requireGpu(index: number): void {
  const { provider, refused, version, missing, runtime } = cudaLibraries();
  const name = index === 0 ? 'cuda' : `cuda:${index}`;
  if (provider === null) {
    const others = refused.map((each) => `${each.version} in ${each.folder}`).join(', ');
    const instead = others === '' ? 'found none' : `found ${others}`;
    throw unavailable(name, `expected the CUDA provider of ONNX Runtime ${version}, ${instead}`);
  }
  if (missing !== undefined) throw unavailable(name, missing);
  if (runtime?.problem !== undefined) throw unavailable(name, driverProblem(runtime), DRIVER_HINT);
  const gpus = runtime?.gpus ?? [];
  if (gpus[index] === undefined) throw unavailable(name, ...unknownGpu(gpus.length));
  const { supported, capability, name: model } = gpus[index];
  if (!supported) {
    const why = `${model} has compute capability ${capability}, for which the provider has no code`;
    throw unavailable(name, why);
  }
  const unloaded = cudaReport().missing;
  if (unloaded !== undefined) throw unavailable(name, unloaded);
}

/** What is taken of the memory of a GPU now. @throws EngineError DEVICE_UNAVAILABLE. */
export function gpuMemory(index = 0): GpuMemory {
  requireGpu(index);
  return memoryOfGpu(runtimeLibrary!, index);
}

const unavailable = (
  device: string,
  reason: string,
  hint = installHint(cudaInstallation()),
): EngineError =>
  new EngineError({
    code: 'DEVICE_UNAVAILABLE',
    message: `opening device "${device}": ${reason}`,
    hint,
  });

const DRIVER_HINT =
  'Install an NVIDIA driver for CUDA 13 (580 or newer), in a container on its host; `nvidia-smi` shows the one that is there.';

const driverProblem = ({ problem, driverVersion, runtimeVersion }: CudaRuntime): string =>
  driverVersion === '0.0'
    ? `${problem}; no driver was found, CUDA ${runtimeVersion} needs one`
    : `${problem}; the driver is for CUDA ${driverVersion}, the libraries are of CUDA ${runtimeVersion}`;

/** Reason and hint. */
function unknownGpu(count: number): [string, string] {
  const names = Array.from({ length: count }, (_, i) => (i === 0 ? 'cuda' : `cuda:${i}`));
  return count === 0
    ? ['this machine has no GPU that CUDA sees', DRIVER_HINT]
    : [
        `this machine has ${count === 1 ? 'one GPU' : `${count} GPUs`}, numbered from 0`,
        `Use ${names.slice(0, 4).join(' or ')}; CUDA_VISIBLE_DEVICES may hide others.`,
      ];
}

function loadLibraries(installation: CudaInstallation): CudaReport {
  if (installation.provider === null) return installation;
  const opened = new Map<string, LibraryHandle>();
  const problems: string[] = [];
  for (const { name, file } of installation.libraries) {
    try {
      opened.set(name, keepForeign(file ?? name));
    } catch (error) {
      problems.push(loaderText(name, error as Error));
    }
  }
  const runtime = [...opened].find(([name]) => name.startsWith('libcudart'))?.[1];
  runtimeLibrary = runtime;
  const [missing] = problems;
  return {
    ...installation,
    ...(runtime !== undefined && { runtime: describeRuntime(runtime) }),
    // The provider starts without cuDNN, and would fail at the first convolution or softmax.
    ...(missing !== undefined && { missing }),
  };
}

/** What the loader says, with the name of the library that it does not always give. */
function loaderText(name: string, { message }: Error): string {
  const text = message.replace(/^Failed to load shared library: /, '');
  return text.includes(name) ? text : `${name}: ${text}`;
}

/** ONNX Runtime's own words for what the loader did not find. */
const LOADER_ERROR = /with error: (.*)/;

/** Lets ONNX Runtime load its provider: of all its functions only this one says which file is missing. */
function missingLibrary(): string | undefined {
  try {
    providerSettings((settings) => {
      const failure = failureAt('loading the CUDA provider');
      const text = create(failure, (out) =>
        call('GetCUDAProviderOptionsAsString', failure, settings, environment().allocator, out),
      );
      call('AllocatorFree', failure, environment().allocator, text);
    });
    return undefined;
  } catch (error) {
    const { message } = error as EngineError;
    return LOADER_ERROR.exec(message)?.[1] ?? message;
  }
}

function providerSettings(use: (settings: Pointer) => void): void {
  const failure = failureAt('loading the CUDA provider');
  const settings = create(failure, (out) => call('CreateCUDAProviderOptions', failure, out));
  try {
    use(settings);
  } finally {
    api().ReleaseCUDAProviderOptions(settings);
  }
}

/**
 * Adds the provider for a GPU to the options of a session.
 * @param memory OrtMemoryInfo of the GPU. @throws EngineError DEVICE_UNAVAILABLE.
 */
export function appendCuda(
  options: Pointer,
  index: number,
  memory: Pointer,
  replays: boolean,
): void {
  requireGpu(index);
  shareArena(index, memory);
  const failure = failureAt(`opening device "cuda:${index}"`);
  const entries = Object.entries(providerOptions(index, replays));
  const [keys, values] = [0, 1].map((side) => entries.map((entry) => entry[side]!));
  providerSettings((settings) => {
    call('UpdateCUDAProviderOptions', failure, settings, keys!, values!, entries.length);
    // As text it is not taken.
    const stream = streamOf(index);
    call('UpdateCUDAProviderOptionsWithValue', failure, settings, 'user_compute_stream', stream);
    call('SessionOptionsAppendExecutionProvider_CUDA_V2', failure, options, settings);
  });
}

/** Options of the provider that are not as ONNX Runtime has them. */
function providerOptions(index: number, replays = false): Readonly<Record<string, string>> {
  const { tf32, memoryBytes } = environment().gpu;
  return {
    device_id: String(index),
    // ONNX Runtime rounds the factors of float32 products to 10 bits unless it is told not to.
    use_tf32: tf32 ? '1' : '0',
    arena_extend_strategy: 'kSameAsRequested',
    // Trying every algorithm at every new shape takes longer than the best one saves.
    cudnn_conv_algo_search: 'HEURISTIC',
    ...(replays && { enable_cuda_graph: '1' }),
    // A session that replays has an arena of its own.
    ...(replays && memoryBytes !== undefined && { gpu_mem_limit: String(memoryBytes) }),
  };
}

const streams = new Map<number, Pointer>();

/**
 * One stream for all sessions of a GPU: what one run writes the next one reads, without a wait of the host in between, and
 * memory that a run gives back to the arena serves the next one safely.
 */
function streamOf(index: number): Pointer {
  const stream = streams.get(index) ?? createStream(runtimeLibrary!, index);
  streams.set(index, stream);
  return stream;
}

const withArena = new Set<number>();
const EXTEND_AS_REQUESTED = 1n;

/**
 * One arena for all sessions of a GPU: each would have its own otherwise, as large as its largest run. To be called after
 * {@link requireGpu}: this function of ONNX Runtime ends the process where the provider cannot be loaded.
 */
function shareArena(index: number, memory: Pointer): void {
  if (withArena.has(index)) return;
  const { pointer, gpu } = environment();
  const failure = failureAt(`opening device "cuda:${index}"`);
  const keys = ['arena_extend_strategy', 'max_mem'];
  const values = BigUint64Array.of(EXTEND_AS_REQUESTED, BigInt(gpu.memoryBytes ?? 0));
  const arena = create(failure, (out) =>
    call('CreateArenaCfgV2', failure, keys, values, keys.length, out),
  );
  try {
    const names = ['device_id'];
    call(
      'CreateAndRegisterAllocatorV2',
      failure,
      pointer,
      'CUDAExecutionProvider',
      memory,
      arena,
      names,
      [String(index)],
      names.length,
    );
    withArena.add(index);
  } finally {
    api().ReleaseArenaCfg(arena);
  }
}
