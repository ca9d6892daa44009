import type { LibraryHandle } from 'koffi';
import koffi from 'koffi';

/** A GPU as CUDA's runtime describes it. */
export interface CudaGpu {
  /** n of the device `cuda:n`. */
  readonly index: number;
  readonly name: string;
  readonly memoryGib: number;
  /** Compute capability, for example `9.0`. */
  readonly capability: string;
  /** Whether the provider has machine code for it. */
  readonly supported: boolean;
}

export interface CudaRuntime {
  /** Newest version of CUDA that the driver serves, and the version of the runtime; `0.0` without a driver. */
  readonly driverVersion: string;
  readonly runtimeVersion: string;
  readonly gpus: readonly CudaGpu[];
  /** Why there are none, in CUDA's words. */
  readonly problem?: string;
}

const CAPABILITY_MAJOR = 75;
const CAPABILITY_MINOR = 76;
/** cudaDeviceProp starts with a name of 256 bytes, two identifiers and a mask; then comes the memory in bytes. */
const PROPERTIES = { bytes: 8192, name: 256, memory: 288 } as const;
/**
 * Compute capabilities for which onnxruntime-gpu 1.30 has machine code; code for x.y runs on x.z with z ≥ y. There is none
 * in an intermediate language that a driver could translate for others.
 */
const MACHINE_CODE = ['7.5', '8.0', '9.0', '12.0'];

/** Asks CUDA's runtime, which is loaded, for the GPUs of this machine. Opens none of them. */
export function describeRuntime(library: LibraryHandle): CudaRuntime {
  const ask = (name: string): number => {
    const result = new Int32Array(1);
    library.func(name, 'int', ['void *'])(result);
    return result[0]!;
  };
  const versions = {
    driverVersion: versionText(ask('cudaDriverGetVersion')),
    runtimeVersion: versionText(ask('cudaRuntimeGetVersion')),
  };
  const count = new Int32Array(1);
  const code = library.func('cudaGetDeviceCount', 'int', ['void *'])(count) as number;
  if (code !== 0) return { ...versions, gpus: [], problem: problemOf(library, code) };
  const gpus = Array.from({ length: count[0]! }, (_, index) => describeGpu(library, index));
  return { ...versions, gpus };
}

function describeGpu(library: LibraryHandle, index: number): CudaGpu {
  const properties = Buffer.alloc(PROPERTIES.bytes);
  propertiesOf(library)(properties, index);
  const attribute = library.func('cudaDeviceGetAttribute', 'int', ['void *', 'int', 'int']);
  const capability = [CAPABILITY_MAJOR, CAPABILITY_MINOR].map((kind) => {
    const result = new Int32Array(1);
    attribute(result, kind, index);
    return result[0]!;
  });
  const memory = Number(properties.readBigUInt64LE(PROPERTIES.memory));
  return {
    index,
    name: properties.toString('utf8', 0, properties.subarray(0, PROPERTIES.name).indexOf(0)),
    memoryGib: Math.round((memory / 2 ** 30) * 10) / 10,
    capability: capability.join('.'),
    supported: hasMachineCode(capability as [number, number]),
  };
}

/** Bytes of a GPU that are taken, by whatever process, and all that it has. Opens the GPU. */
export interface GpuMemory {
  readonly usedBytes: number;
  readonly totalBytes: number;
}

/** @throws Error where CUDA's runtime refuses. */
export function memoryOfGpu(library: LibraryHandle, index: number): GpuMemory {
  const [free, total] = [new BigUint64Array(1), new BigUint64Array(1)];
  const select = library.func('cudaSetDevice', 'int', ['int']);
  const ask = library.func('cudaMemGetInfo', 'int', ['void *', 'void *']);
  const code = (select(index) as number) || (ask(free, total) as number);
  if (code !== 0) throw new Error(problemOf(library, code));
  return { usedBytes: Number(total[0]! - free[0]!), totalBytes: Number(total[0]!) };
}

/**
 * A stream of a GPU, which lives as long as the process. It waits for the default stream, where ONNX Runtime copies constants
 * of programs, and the default stream for it.
 * @throws Error where CUDA's runtime refuses.
 */
export function createStream(library: LibraryHandle, index: number): bigint {
  const made = new BigUint64Array(1);
  const current = new Int32Array(1);
  const select = library.func('cudaSetDevice', 'int', ['int']);
  library.func('cudaGetDevice', 'int', ['void *'])(current);
  const code =
    (select(index) as number) ||
    (library.func('cudaStreamCreate', 'int', ['void *'])(made) as number);
  select(current[0]);
  if (code !== 0) throw new Error(problemOf(library, code));
  return made[0]!;
}

/** CUDA 12 exports the current layout under a name with a version. */
function propertiesOf(library: LibraryHandle): (properties: Buffer, index: number) => number {
  const bind = (name: string) => library.func(name, 'int', ['void *', 'int']);
  try {
    return bind('cudaGetDeviceProperties_v2');
  } catch {
    return bind('cudaGetDeviceProperties');
  }
}

export const hasMachineCode = ([major, minor]: readonly [number, number]): boolean =>
  MACHINE_CODE.some((version) => {
    const [codeMajor, codeMinor] = version.split('.').map(Number);
    return codeMajor === major && minor >= codeMinor!;
  });

function problemOf(library: LibraryHandle, code: number): string {
  const text = library.func('cudaGetErrorString', 'void *', ['int'])(code) as bigint;
  return `CUDA error ${code}: ${koffi.decode.string(text)}`;
}

/** CUDA counts versions as 1000 · major + 10 · minor. */
const versionText = (version: number): string =>
  `${Math.floor(version / 1000)}.${Math.floor((version % 1000) / 10)}`;
