import { EngineError } from '../errors.js';
import {
  allocateOnDevice,
  DeviceValue,
  type ExecutionProvider,
  Lane,
  readToHost,
  uploadFromHost,
  writeFromHost,
} from '../executor/index.js';
import { sizeOf } from '../graph/graph.js';
import type { HostArray, TensorSpec } from '../specs.js';
import type { DeviceTensor } from './device.js';
import { hostArray, newHostArray } from './host.js';

export interface ExecutorTensorOptions {
  /** Whether others see the memory of the first value, so that later values have to come there. */
  readonly staysInMemory?: boolean;
}

/**
 * A tensor of an ONNX Runtime device. Its value is exchanged when a run writes state into a second buffer, or copied back where
 * the memory is the caller's.
 */
export class ExecutorTensor implements DeviceTensor {
  readonly spec: TensorSpec;
  #value: DeviceValue;
  /** Where a run writes the next value when it cannot write in place. */
  #spare: DeviceValue | undefined;
  /** Moves between memories, one at a time: of two first uses the second finds what the first has uploaded. */
  readonly #moves = new Lane();
  readonly #memory: HostArray | undefined;
  #disposed = false;

  constructor(spec: TensorSpec, value: DeviceValue, options: ExecutorTensorOptions = {}) {
    this.spec = spec;
    this.#value = value;
    if (options.staysInMemory === true) this.#memory = value.host as HostArray;
  }

  get shape(): readonly number[] {
    return this.spec.shape;
  }

  get dtype(): TensorSpec['dtype'] {
    return this.spec.dtype;
  }

  read(): Promise<HostArray> {
    return this.#moves.run(async () => {
      this.#assertUsable();
      return this.#hostData();
    });
  }

  async write(data: HostArray): Promise<void> {
    const array = hostArray('tensor', this.spec, data);
    await this.#moves.run(async () => {
      this.#assertUsable();
      const { host } = this.#value;
      if (host === undefined) await writeFromHost(this.#value, array);
      else (host as Float32Array).set(array as Float32Array);
    });
  }

  /** The value in the memory of `device`; what lies elsewhere is moved there on first use. */
  resident(device: ExecutionProvider): Promise<DeviceValue> {
    return this.#moves.run(async () => {
      this.#assertUsable();
      if (this.#value.device !== device) await this.#moveTo(device);
      return this.#value;
    });
  }

  /** Memory for the next value, of the same device. */
  next(): Promise<DeviceValue> {
    return this.#moves.run(async () => {
      this.#assertUsable();
      this.#spare ??= this.#owned(await this.#allocate());
      return this.#spare;
    });
  }

  /** Makes the value that a run has written into `next()` the current one. */
  exchange(): void {
    // Disposed during the run: both are gone.
    if (this.#disposed) return;
    const written = this.#spare!;
    if (this.#value.host !== undefined && this.#value.host === this.#memory) {
      (this.#memory as Float32Array).set(written.host as Float32Array);
      return;
    }
    this.#spare = this.#value;
    this.#value = written;
  }

  dispose(): void {
    this.#disposed = true;
    this.#value.dispose();
    this.#spare?.dispose();
  }

  async #hostData(): Promise<HostArray> {
    return (this.#value.host ?? (await readToHost(this.#value))) as HostArray;
  }

  async #moveTo(device: ExecutionProvider): Promise<void> {
    const data = await this.#hostData();
    const moved = this.#owned(await uploadFromHost(data, this.dtype, this.shape, device));
    this.#value.dispose();
    this.#spare?.dispose();
    this.#spare = undefined;
    this.#value = moved;
  }

  async #allocate(): Promise<DeviceValue> {
    const { device } = this.#value;
    if (device !== 'cpu') return allocateOnDevice(device, this.dtype, this.shape);
    return DeviceValue.fromHost(
      newHostArray(this.dtype, sizeOf(this.shape)),
      this.dtype,
      this.shape,
    );
  }

  /** A new value of this tensor, unless it was disposed while the value was made. */
  #owned(value: DeviceValue): DeviceValue {
    if (this.#disposed) value.dispose();
    this.#assertUsable();
    return value;
  }

  #assertUsable(): void {
    if (!this.#disposed) return;
    throw new EngineError({
      code: 'DISPOSED',
      message: `A tensor ${this.dtype} (${this.shape.join(', ')}) is used after it was disposed.`,
      hint: 'Dispose a tensor after the last run and the last read that need it.',
    });
  }
}
