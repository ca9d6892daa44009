import koffi from 'koffi';
import { EngineError } from '../errors.js';
import { pathWithProviders } from './cuda/link-folder.js';
import { openLibrary } from './library.js';

/**
 * ONNX Runtime's C API as a typed record of functions. The table of `OrtGetApiBase()->GetApi(29)` only ever grows at
 * its end, so a function is its index.
 */
const API_VERSION = 29;
const POINTER_BYTES = koffi.sizeof('void *');

/** Address in native memory. */
export type Pointer = bigint;

interface ArgumentTypes {
  /** Address, or a typed array whose memory is passed. */
  pointer: Pointer | ArrayBufferView | null;
  int: number;
  size: number;
  string: string;
  /** UTF-16 on Windows, UTF-8 elsewhere (ORTCHAR_T). */
  path: string;
  strings: readonly string[];
}
type Kind = keyof ArgumentTypes;

const NATIVE: Record<Kind, string> = {
  pointer: 'void *',
  int: 'int',
  size: 'size_t',
  string: 'str',
  path: process.platform === 'win32' ? 'str16' : 'str',
  strings: 'str *',
};

interface Signature<Arguments extends readonly Kind[], Result> {
  readonly index: number;
  readonly parameters: Arguments;
  readonly result: string;
  readonly resultType?: Result;
}

/** A function that returns an OrtStatus*: null for success, otherwise an owned status. */
const status = <const A extends readonly Kind[]>(
  index: number,
  ...parameters: A
): Signature<A, Pointer | null> => ({ index, parameters, result: 'void *' });

const nothing = <const A extends readonly Kind[]>(
  index: number,
  ...parameters: A
): Signature<A, undefined> => ({ index, parameters, result: 'void' });

const text = <const A extends readonly Kind[]>(
  index: number,
  ...parameters: A
): Signature<A, string> => ({ index, parameters, result: 'str' });

const SIGNATURES = {
  GetErrorMessage: text(2, 'pointer'),
  CreateSession: status(7, 'pointer', 'path', 'pointer', 'pointer'),
  CreateSessionFromArray: status(8, 'pointer', 'pointer', 'size', 'pointer', 'pointer'),
  CreateSessionOptions: status(10, 'pointer'),
  SetOptimizedModelFilePath: status(11, 'pointer', 'path'),
  DisableMemPattern: status(17, 'pointer'),
  SetSessionLogSeverityLevel: status(22, 'pointer', 'int'),
  SetSessionGraphOptimizationLevel: status(23, 'pointer', 'int'),
  SetIntraOpNumThreads: status(24, 'pointer', 'int'),
  SessionGetInputCount: status(30, 'pointer', 'pointer'),
  SessionGetOutputCount: status(31, 'pointer', 'pointer'),
  SessionGetInputTypeInfo: status(33, 'pointer', 'size', 'pointer'),
  SessionGetOutputTypeInfo: status(34, 'pointer', 'size', 'pointer'),
  SessionGetInputName: status(36, 'pointer', 'size', 'pointer', 'pointer'),
  SessionGetOutputName: status(37, 'pointer', 'size', 'pointer', 'pointer'),
  CreateRunOptions: status(39, 'pointer'),
  CreateTensorAsOrtValue: status(48, 'pointer', 'pointer', 'size', 'int', 'pointer'),
  CreateTensorWithDataAsOrtValue: status(
    49,
    'pointer',
    'pointer',
    'size',
    'pointer',
    'size',
    'int',
    'pointer',
  ),
  CastTypeInfoToTensorInfo: status(55, 'pointer', 'pointer'),
  GetTensorElementType: status(60, 'pointer', 'pointer'),
  GetDimensionsCount: status(61, 'pointer', 'pointer'),
  GetDimensions: status(62, 'pointer', 'pointer', 'size'),
  GetTensorTypeAndShape: status(65, 'pointer', 'pointer'),
  CreateMemoryInfo: status(68, 'string', 'int', 'int', 'int', 'pointer'),
  MemoryInfoGetName: status(71, 'pointer', 'pointer'),
  MemoryInfoGetId: status(72, 'pointer', 'pointer'),
  AllocatorAlloc: status(75, 'pointer', 'size', 'pointer'),
  AllocatorFree: status(76, 'pointer', 'pointer'),
  GetAllocatorWithDefaultOptions: status(78, 'pointer'),
  ReleaseStatus: nothing(93, 'pointer'),
  ReleaseSession: nothing(95, 'pointer'),
  ReleaseValue: nothing(96, 'pointer'),
  ReleaseTypeInfo: nothing(98, 'pointer'),
  ReleaseTensorTypeAndShapeInfo: nothing(99, 'pointer'),
  ReleaseSessionOptions: nothing(100, 'pointer'),
  CreateEnvWithGlobalThreadPools: status(119, 'int', 'string', 'pointer', 'pointer'),
  DisablePerSessionThreads: status(120, 'pointer'),
  CreateThreadingOptions: status(121, 'pointer'),
  ReleaseThreadingOptions: nothing(122, 'pointer'),
  GetAvailableProviders: status(125, 'pointer', 'pointer'),
  ReleaseAvailableProviders: status(126, 'pointer', 'int'),
  AddSessionConfigEntry: status(130, 'pointer', 'string', 'string'),
  CreateAllocator: status(131, 'pointer', 'pointer', 'pointer'),
  ReleaseAllocator: nothing(132, 'pointer'),
  RunWithBinding: status(133, 'pointer', 'pointer', 'pointer'),
  CreateIoBinding: status(134, 'pointer', 'pointer'),
  ReleaseIoBinding: nothing(135, 'pointer'),
  BindInput: status(136, 'pointer', 'string', 'pointer'),
  BindOutput: status(137, 'pointer', 'string', 'pointer'),
  BindOutputToDevice: status(138, 'pointer', 'string', 'pointer'),
  GetBoundOutputValues: status(140, 'pointer', 'pointer', 'pointer', 'pointer'),
  ClearBoundInputs: nothing(141, 'pointer'),
  ClearBoundOutputs: nothing(142, 'pointer'),
  CreateAndRegisterAllocator: status(144, 'pointer', 'pointer', 'pointer'),
  SetGlobalIntraOpNumThreads: status(147, 'pointer', 'int'),
  SetGlobalInterOpNumThreads: status(148, 'pointer', 'int'),
  SetGlobalSpinControl: status(149, 'pointer', 'int'),
  ReleaseArenaCfg: nothing(157, 'pointer'),
  CreateArenaCfgV2: status(164, 'strings', 'pointer', 'size', 'pointer'),
  AddRunConfigEntry: status(165, 'pointer', 'string', 'string'),
  UnregisterAllocator: status(177, 'pointer', 'pointer'),
  GetTensorMemoryInfo: status(194, 'pointer', 'pointer'),
  SessionOptionsAppendExecutionProvider_CUDA_V2: status(204, 'pointer', 'pointer'),
  CreateCUDAProviderOptions: status(205, 'pointer'),
  UpdateCUDAProviderOptions: status(206, 'pointer', 'strings', 'strings', 'size'),
  GetCUDAProviderOptionsAsString: status(207, 'pointer', 'pointer', 'pointer'),
  ReleaseCUDAProviderOptions: nothing(208, 'pointer'),
  SessionOptionsAppendExecutionProvider: status(
    216,
    'pointer',
    'string',
    'strings',
    'strings',
    'size',
  ),
  CreateAndRegisterAllocatorV2: status(
    259,
    'pointer',
    'string',
    'pointer',
    'pointer',
    'strings',
    'strings',
    'size',
  ),
  UpdateCUDAProviderOptionsWithValue: status(263, 'pointer', 'string', 'pointer'),
  GetKeyValue: text(297, 'pointer', 'string'),
  ReleaseKeyValuePairs: nothing(300, 'pointer'),
  AllocatorGetStats: status(319, 'pointer', 'pointer'),
} as const;

type Signatures = typeof SIGNATURES;
export type FunctionName = keyof Signatures;
type Native<Kinds extends readonly Kind[]> = {
  -readonly [Position in keyof Kinds]: ArgumentTypes[Kinds[Position]];
};
export type Arguments<Name extends FunctionName> = Native<Signatures[Name]['parameters']>;
type Result<Name extends FunctionName> =
  Signatures[Name] extends Signature<readonly Kind[], infer Returned> ? Returned : never;

/** A native function; `async` runs it on a worker thread of libuv's pool. */
export interface NativeFunction<Name extends FunctionName> {
  (...parameters: Arguments<Name>): Result<Name>;
  async(
    ...parameters: [...Arguments<Name>, (error: Error | null, result: Result<Name>) => void]
  ): void;
}
/** Names of the functions that return a status. */
export type StatusFunctionName = {
  [Name in FunctionName]: null extends Result<Name> ? Name : never;
}[FunctionName];

export type Api = { readonly [Name in FunctionName]: NativeFunction<Name> } & {
  readonly version: string;
  readonly library: string;
  /** Address of a function, for threads that bind it themselves. */
  addressOf(name: FunctionName): Pointer;
};

let loaded: Api | undefined;

/** The function table, loaded at the first call. @throws EngineError LIBRARY_MISSING. */
export function api(): Api {
  loaded ??= load(pathWithProviders());
  return loaded;
}

function load(path: string): Api {
  const getBase = openLibrary(path).func('OrtGetApiBase', 'void *', []);
  const base = getBase() as Pointer;
  const version = member(base, 1, koffi.proto('str', []))() as string;
  const table = member(base, 0, koffi.proto('void *', ['uint32']))(API_VERSION) as Pointer | null;
  if (table === null) throw tooOld(path, version);
  const functions = Object.entries(SIGNATURES).map(([name, { index, parameters, result }]) => {
    const prototype = koffi.proto(
      result,
      parameters.map((kind) => NATIVE[kind]),
    );
    return [name, member(table, index, prototype)];
  });
  const addressOf = (name: FunctionName) => address(table, SIGNATURES[name].index);
  return { ...Object.fromEntries(functions), version, library: path, addressOf } as Api;
}

/** The function at position `index` of a native struct of function pointers. */
function member(table: Pointer, index: number, prototype: ReturnType<typeof koffi.proto>) {
  return koffi.decode(address(table, index), prototype) as (...parameters: unknown[]) => unknown;
}

const address = (table: Pointer, index: number): Pointer =>
  koffi.decode(table, index * POINTER_BYTES, 'void *') as Pointer;

const tooOld = (path: string, version: string): EngineError =>
  new EngineError({
    code: 'LIBRARY_MISSING',
    message: `ONNX Runtime ${version} at ${path} does not offer C API version ${API_VERSION}`,
    hint: 'Install onnxruntime-node 1.30.0 or newer.',
  });
