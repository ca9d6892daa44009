import { readdirSync, readFileSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import koffi from 'koffi';
import { EngineError } from '../errors.js';
import { api, type Pointer } from './api.js';
import { SharedArena } from './arena.js';
import { call, create, type Failure, outCell } from './status.js';

/** Settings of the process-wide environment; they count until the first session is created. */
export interface EnvironmentOptions {
  /** Threads of the pool that sessions share; `SPATIALSV_THREADS`, or the physical cores in reach, by default. */
  readonly threads?: number;
  /** Whether idle pool threads spin for a moment before they sleep (default true: lower latency between nodes). */
  readonly spinning?: boolean;
  /** ONNX Runtime's own messages on stderr from this level on; failures become errors anyway (default `fatal`). */
  readonly logLevel?: keyof typeof LOG_LEVEL;
  /**
   * Whether products of float32 on an NVIDIA GPU round their factors to 10 bits, which is several times as fast
   * (`SPATIALSV_TF32=1`; false by default).
   */
  readonly tf32?: boolean;
  /** Memory of a GPU that this process takes at most (`SPATIALSV_GPU_MEMORY` in GiB; all of it by default). */
  readonly gpuMemoryBytes?: number;
  /** Whether a node that a GPU has no kernel for may run on the CPU, at the price of copies (default true). */
  readonly cpuFallback?: boolean;
  /** Bytes of the largest tensor that a shader of WebGPU is given (2²⁷ by default, which every adapter takes; many take more). */
  readonly largestTensorBytes?: number;
}

/** `maxStorageBufferBindingSize` that WebGPU promises of every adapter. */
const LARGEST_TENSOR_BYTES = 2 ** 27;

/** What counts for sessions of GPUs. */
export interface GpuSettings {
  readonly tf32: boolean;
  /** Absent: as much as there is. */
  readonly memoryBytes?: number;
  readonly cpuFallback: boolean;
}

const LOG_LEVEL = { verbose: 0, info: 1, warning: 2, error: 3, fatal: 4 } as const;
const failure: Failure = {
  code: 'LIBRARY_MISSING',
  doing: 'setting up ONNX Runtime',
  hint: 'Reinstall onnxruntime-node; report the message if it stays.',
};

/** OrtEnv, default allocator and CPU memory description; alive as long as the process. */
export interface Environment {
  readonly pointer: Pointer;
  readonly allocator: Pointer;
  readonly cpuMemory: Pointer;
  /** That new sessions work in. */
  readonly arena: SharedArena;
  readonly threads: number;
  readonly logSeverity: number;
  readonly gpu: GpuSettings;
}

let options: EnvironmentOptions = {};
let current: Environment | undefined;

/** Sets the options of the environment. @throws EngineError BUSY once a session exists. */
export function configureEnvironment(settings: EnvironmentOptions): void {
  if (current) {
    throw new EngineError({
      code: 'BUSY',
      message: 'the environment of ONNX Runtime is already in use',
      hint: 'Configure it before the first program is compiled.',
    });
  }
  options = { ...options, ...settings };
}

/** Larger weights are read in pieces on WebGPU. */
export const largestTensorBytes = (): number => options.largestTensorBytes ?? LARGEST_TENSOR_BYTES;

/** The one environment of this process, made at the first call. */
export function environment(): Environment {
  current ??= createEnvironment();
  return current;
}

/** Version, providers built in and path of ONNX Runtime. @throws EngineError LIBRARY_MISSING. */
export function executorInfo(): { version: string; providers: string[]; library: string } {
  const { version, library } = api();
  return { version, providers: availableProviders(), library };
}

function createEnvironment(): Environment {
  const threads = options.threads ?? parseThreads(process.env[THREADS_VARIABLE]) ?? physicalCores();
  const logSeverity = LOG_LEVEL[options.logLevel ?? 'fatal'];
  const threading = threadingOptions(threads);
  try {
    const pointer = create(failure, (out) =>
      call('CreateEnvWithGlobalThreadPools', failure, logSeverity, 'spatialsv', threading, out),
    );
    const cpuMemory = describeMemory('Cpu');
    const allocator = create(failure, (out) =>
      call('GetAllocatorWithDefaultOptions', failure, out),
    );
    return {
      ...{ pointer, allocator, cpuMemory, threads, logSeverity },
      arena: new SharedArena(pointer, cpuMemory),
      gpu: gpuSettings(),
    };
  } finally {
    api().ReleaseThreadingOptions(threading);
  }
}

function threadingOptions(threads: number): Pointer {
  const threading = create(failure, (out) => call('CreateThreadingOptions', failure, out));
  call('SetGlobalIntraOpNumThreads', failure, threading, threads);
  call('SetGlobalInterOpNumThreads', failure, threading, 1);
  call('SetGlobalSpinControl', failure, threading, options.spinning === false ? 0 : 1);
  return threading;
}

function gpuSettings(): GpuSettings {
  const { tf32, gpuMemoryBytes, cpuFallback = true } = options;
  const memoryBytes = gpuMemoryBytes ?? parseGibibytes(process.env[GPU_MEMORY_VARIABLE]);
  return {
    tf32: tf32 ?? process.env[TF32_VARIABLE] === '1',
    cpuFallback,
    ...(memoryBytes !== undefined && { memoryBytes }),
  };
}

/** OrtRunOptions with configuration entries of ONNX Runtime, owned by the caller. */
export function runOptions(entries: Readonly<Record<string, string>>): Pointer {
  const run = create(failure, (out) => call('CreateRunOptions', failure, out));
  for (const [key, value] of Object.entries(entries))
    call('AddRunConfigEntry', failure, run, key, value);
  return run;
}

const ARENA_ALLOCATOR = 1;
const DEFAULT_MEMORY = 0;

/** An OrtMemoryInfo for the memory of a device (`Cpu`, `Cuda`, `WebGPU_Buf`) and its number, owned by the caller. */
export function describeMemory(name: string, index = 0): Pointer {
  return create(failure, (out) =>
    call('CreateMemoryInfo', failure, name, ARENA_ALLOCATOR, index, DEFAULT_MEMORY, out),
  );
}

function availableProviders(): string[] {
  const list = outCell();
  const count = new Int32Array(1);
  call('GetAvailableProviders', failure, list, count);
  const names = koffi.decode(list[0]!, 'str', count[0]!) as string[];
  call('ReleaseAvailableProviders', failure, list[0]!, count[0]!);
  return names;
}

const THREADS_VARIABLE = 'SPATIALSV_THREADS';
const TF32_VARIABLE = 'SPATIALSV_TF32';
const GPU_MEMORY_VARIABLE = 'SPATIALSV_GPU_MEMORY';

/** @throws EngineError INPUT_INVALID unless it is empty or a number above 0. */
function parseGibibytes(text: string | undefined): number | undefined {
  if (text === undefined || text === '') return undefined;
  const gibibytes = Number(text);
  if (Number.isFinite(gibibytes) && gibibytes > 0) return Math.floor(gibibytes * 2 ** 30);
  throw new EngineError({
    code: 'INPUT_INVALID',
    message: `${GPU_MEMORY_VARIABLE} is "${text}": expected gibibytes above 0.`,
    hint: 'Set it to what this process may take of the memory of its GPU, or remove it.',
  });
}

/** @throws EngineError INPUT_INVALID unless it is empty or a whole number from 1 on. */
export function parseThreads(text: string | undefined): number | undefined {
  if (text === undefined || text === '') return undefined;
  if (/^[1-9]\d*$/.test(text)) return Number(text);
  throw new EngineError({
    code: 'INPUT_INVALID',
    message: `${THREADS_VARIABLE} is "${text}": expected a whole number of threads.`,
    hint: 'Set it to 1 or more, or remove it: then every physical core in reach gets a thread.',
  });
}

const CPU_FOLDER = '/sys/devices/system/cpu';

/** Physical cores in reach of this process: two hyper-threads of a core only disturb each other in matrix products. */
function physicalCores(): number {
  return Math.min(availableParallelism(), coresOfLinux() ?? availableParallelism());
}

function coresOfLinux(): number | undefined {
  try {
    const folders = readdirSync(CPU_FOLDER).filter((name) => /^cpu\d+$/.test(name));
    const siblings = folders.map((name) =>
      readFileSync(`${CPU_FOLDER}/${name}/topology/thread_siblings_list`, 'utf8'),
    );
    return new Set(siblings).size || undefined;
  } catch {
    // Other systems, and containers that hide /sys.
    return undefined;
  }
}
