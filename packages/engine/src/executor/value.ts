import koffi from 'koffi';
import { EngineError } from '../errors.js';
import {
  bytesPerElement,
  type ElementType,
  elementTypeOf,
  type HostMemory,
  onnxCode,
} from '../onnx/element-type.js';
import { sizeOf } from '../specs.js';
import { api, type Pointer } from './api.js';
import { Handle } from './handle.js';
import { type ExecutionProvider, laneOf, memoryOf, providerOfMemory } from './provider.js';
import { call, create, type Failure, outCell } from './status.js';

const failure: Failure = {
  code: 'VALUE_INVALID',
  doing: 'describing a tensor',
  hint: 'Give a typed array that matches the data type and has as many elements as the shape.',
};

/** An input or output of a model; dimensions that the model leaves open are −1. */
export interface ValueInfo {
  readonly name: string;
  readonly dtype: ElementType;
  readonly shape: readonly number[];
}

/** A tensor that ONNX Runtime can read and write: either a view of a JavaScript array, or memory of a device. */
export class DeviceValue {
  readonly dtype: ElementType;
  readonly shape: readonly number[];
  readonly device: ExecutionProvider;
  readonly byteLength: number;
  readonly #handle: Handle;
  #host: HostMemory | undefined;

  private constructor(
    pointer: Pointer,
    described: { dtype: ElementType; shape: readonly number[]; device: ExecutionProvider },
    host?: HostMemory,
  ) {
    // Memory of a GPU is not given back while something else is at work on it.
    this.#handle = new Handle('a tensor value', pointer, (own) =>
      laneOf(described.device).whenIdle(() => api().ReleaseValue(own)),
    );
    this.dtype = described.dtype;
    this.shape = described.shape;
    this.device = described.device;
    this.byteLength = sizeOf(described.shape) * bytesPerElement(described.dtype);
    this.#host = host;
  }

  /**
   * Wraps an array without copying it; the array stays alive until the value is disposed and no run uses it.
   * @throws EngineError VALUE_INVALID when the array has another size than `shape` of `dtype`.
   */
  static fromHost(array: HostMemory, dtype: ElementType, shape: readonly number[]): DeviceValue {
    const bytes = sizeOf(shape) * bytesPerElement(dtype);
    if (array.byteLength !== bytes) throw wrongSize(array, dtype, shape, bytes);
    // V8 keeps arrays of up to 64 bytes inside its moving heap until their buffer is asked for.
    void array.buffer;
    return new DeviceValue(
      wrap(array, bytes, dtype, shape),
      { dtype, shape, device: 'cpu' },
      array,
    );
  }

  /** Describes memory of the host that its owner keeps until the value is disposed, for example of a mapped file. */
  static atAddress(address: Pointer, dtype: ElementType, shape: readonly number[]): DeviceValue {
    const bytes = sizeOf(shape) * bytesPerElement(dtype);
    return new DeviceValue(wrap(address, bytes, dtype, shape), { dtype, shape, device: 'cpu' });
  }

  /** Takes over an OrtValue that ONNX Runtime made. */
  static adopt(pointer: Pointer): DeviceValue {
    try {
      return new DeviceValue(pointer, { ...describeTensor(pointer), device: locate(pointer) });
    } catch (error) {
      api().ReleaseValue(pointer);
      throw error;
    }
  }

  /** Allocates uninitialised memory with an allocator of the executor. */
  static allocateWith(
    allocator: Pointer,
    device: ExecutionProvider,
    dtype: ElementType,
    shape: readonly number[],
  ): DeviceValue {
    const pointer = create(failure, (out) =>
      call(
        'CreateTensorAsOrtValue',
        failure,
        allocator,
        toDimensions(shape),
        shape.length,
        onnxCode(dtype),
        out,
      ),
    );
    return new DeviceValue(pointer, { dtype, shape, device });
  }

  /** Address of the OrtValue. @throws EngineError DISPOSED. */
  get pointer(): Pointer {
    return this.#handle.pointer;
  }

  get disposed(): boolean {
    return this.#handle.disposed;
  }

  /**
   * The wrapped array of a value made by {@link DeviceValue.fromHost}, until it is disposed: ONNX Runtime works in this
   * memory itself.
   */
  get host(): HostMemory | undefined {
    return this.#host;
  }

  /** @throws EngineError DISPOSED; VALUE_INVALID when the wrapped array was transferred to another thread. */
  assertUsable(): void {
    void this.#handle.pointer;
    if (this.#host === undefined || this.#host.byteLength === this.byteLength) return;
    throw new EngineError({
      code: 'VALUE_INVALID',
      message: `the array of a bound ${this.dtype} (${this.shape.join(', ')}) value was detached: expected ${this.byteLength} bytes, found ${this.#host.byteLength}`,
      hint: 'Do not transfer an array to another thread while it is bound; send a copy.',
    });
  }

  /** Releases the value and lets go of its array. A binding that still has it refuses to run. */
  dispose(): void {
    this.#handle.dispose();
    this.#host = undefined;
  }
}

/** An OrtValue over memory of the host. */
function wrap(
  memory: HostMemory | Pointer,
  bytes: number,
  dtype: ElementType,
  shape: readonly number[],
): Pointer {
  const type = onnxCode(dtype);
  const dimensions = toDimensions(shape);
  return create(failure, (out) =>
    call(
      'CreateTensorWithDataAsOrtValue',
      failure,
      memoryOf('cpu'),
      memory,
      bytes,
      dimensions,
      shape.length,
      type,
      out,
    ),
  );
}

const toDimensions = (shape: readonly number[]): BigInt64Array => BigInt64Array.from(shape, BigInt);

/** Data type and shape from an OrtTensorTypeAndShapeInfo; unknown dimensions are −1. */
export function describeInfo(info: Pointer): { dtype: ElementType; shape: number[] } {
  const code = new Int32Array(1);
  call('GetTensorElementType', failure, info, code);
  const rank = outCell();
  call('GetDimensionsCount', failure, info, rank);
  const dimensions = new BigInt64Array(Number(rank[0]));
  call('GetDimensions', failure, info, dimensions, dimensions.length);
  return { dtype: elementTypeOf(code[0]!), shape: Array.from(dimensions, Number) };
}

function describeTensor(value: Pointer): { dtype: ElementType; shape: number[] } {
  const info = create(failure, (out) => call('GetTensorTypeAndShape', failure, value, out));
  try {
    return describeInfo(info);
  } finally {
    api().ReleaseTensorTypeAndShapeInfo(info);
  }
}

/** The memory description belongs to the value and is not released. */
function locate(value: Pointer): ExecutionProvider {
  const memory = create(failure, (out) => call('GetTensorMemoryInfo', failure, value, out));
  const name = create(failure, (out) => call('MemoryInfoGetName', failure, memory, out));
  const index = new Int32Array(1);
  call('MemoryInfoGetId', failure, memory, index);
  return providerOfMemory(koffi.decode.string(name), index[0]!);
}

const wrongSize = (
  array: HostMemory,
  dtype: ElementType,
  shape: readonly number[],
  bytes: number,
): EngineError =>
  new EngineError({
    code: 'VALUE_INVALID',
    message: `${dtype} (${shape.join(', ')}): expected ${bytes} bytes, found ${array.byteLength} in a ${array.constructor.name} of ${array.length}`,
    hint: failure.hint,
  });
