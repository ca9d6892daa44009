import { EngineError, type EngineErrorCode } from '../errors.js';
import {
  type Arguments,
  api,
  type NativeFunction,
  type Pointer,
  type StatusFunctionName,
} from './api.js';

/** What a failing status means to the user of the executor. */
export interface Failure {
  readonly code: EngineErrorCode;
  /** What was being done, for example `creating session "step"`. */
  readonly doing: string;
  readonly hint: string;
}

/** Calls a function of the table. @throws EngineError with ONNX Runtime's own message when the status is not null. */
export function call<Name extends StatusFunctionName>(
  name: Name,
  failure: Failure,
  ...parameters: Arguments<Name>
): void {
  const native = api()[name] as (...parameters: unknown[]) => Pointer | null;
  check(native(...parameters), failure);
}

/** Parameters of calls under way: the buffers among them must not be collected before the native function has ended. */
const underWay = new Set<readonly unknown[]>();

/** As {@link call}, on a worker thread. Buffers among the parameters stay alive until it settles. */
export function callAsync<Name extends StatusFunctionName>(
  name: Name,
  failure: Failure,
  ...parameters: Arguments<Name>
): Promise<void> {
  const native = api()[name] as NativeFunction<StatusFunctionName>;
  underWay.add(parameters);
  return new Promise((resolve, reject) => {
    const settle = (error: Error | null, status: Pointer | null) => {
      underWay.delete(parameters);
      if (error) reject(error);
      else if (status === null) resolve();
      else reject(toError(status, failure));
    };
    (native.async as (...all: unknown[]) => void)(...parameters, settle);
  });
}

/** @throws EngineError with ONNX Runtime's own message when a status, which is released, is not null. */
export function check(status: Pointer | null, failure: Failure): void {
  if (status !== null) throw toError(status, failure);
}

/** Turns an owned status into an error and releases it. */
function toError(status: Pointer, failure: Failure): EngineError {
  const { GetErrorMessage, ReleaseStatus } = api();
  const message = GetErrorMessage(status);
  ReleaseStatus(status);
  return new EngineError({
    code: failure.code,
    message: `${failure.doing}: ${message}`,
    hint: saysNoMemory(message) ? NO_MEMORY_HINT : failure.hint,
  });
}

/** What ONNX Runtime, CUDA, the C++ library and JavaScript say when they get no memory. */
const NO_MEMORY =
  /failed to allocate memory|available memory of \d+ is smaller|bad_alloc|array buffer allocation failed|out of memory/i;
const NO_MEMORY_HINT =
  'The device has too little free memory: use a smaller model, fewer or smaller images, or another device. On an NVIDIA GPU `nvidia-smi` shows who takes its memory, and SPATIALSV_GPU_MEMORY limits what this process takes.';

/** Whether a failure is one of memory, of whatever device. */
export const saysNoMemory = (message: string): boolean => NO_MEMORY.test(message);

/** One pointer-sized cell that a native function writes its result to. */
export const outCell = (): BigUint64Array => new BigUint64Array(1);

/** Calls a function whose last parameter receives a pointer and gives that pointer back. */
export function create(failure: Failure, invoke: (out: BigUint64Array) => void): Pointer {
  const out = outCell();
  invoke(out);
  const pointer = out[0]!;
  if (pointer === 0n) {
    throw new EngineError({
      code: failure.code,
      message: `${failure.doing}: ONNX Runtime returned no object`,
      hint: failure.hint,
    });
  }
  return pointer;
}
