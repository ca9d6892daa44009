import {
  allocateOnDevice,
  DeviceValue,
  type ExecutorDevice,
  readToHost,
  uploadFromHost,
  writeFromHost,
} from '../executor/index.js';
import { sizeOf } from '../graph/graph.js';
import type { HostArray, TensorSpec } from '../specs.js';
import type { DeviceTensor } from './device.js';
import { hostArray, newHostArray } from './host.js';

/** A tensor of an ONNX Runtime device. `value` is exchanged when a run writes state into a second buffer. */
export class ExecutorTensor implements DeviceTensor {
  /** Where a run writes the next value when it cannot write in place. */
  private spare: DeviceValue | undefined;

  readonly spec: TensorSpec;
  value: DeviceValue;

  constructor(spec: TensorSpec, value: DeviceValue) {
    this.spec = spec;
    this.value = value;
  }

  get shape(): readonly number[] {
    return this.spec.shape;
  }

  get dtype(): TensorSpec['dtype'] {
    return this.spec.dtype;
  }

  async read(): Promise<HostArray> {
    return (this.value.host ?? (await readToHost(this.value))) as HostArray;
  }

  async write(data: HostArray): Promise<void> {
    const array = hostArray('tensor', this.spec, data);
    if (this.value.host === undefined) await writeFromHost(this.value, array);
    else (this.value.host as Float32Array).set(array as Float32Array);
  }

  /** The value in the memory of `device`; what was given by the host is uploaded on first use. */
  async resident(device: ExecutorDevice): Promise<DeviceValue> {
    if (this.value.device === device) return this.value;
    const host = this.value;
    const data = await this.read();
    this.value = await uploadFromHost(data, this.dtype, this.shape, device);
    host.dispose();
    return this.value;
  }

  /** Memory for the next value, of the same device. */
  async next(): Promise<DeviceValue> {
    this.spare ??=
      this.value.device === 'cpu'
        ? DeviceValue.fromHost(newHostArray(this.dtype, sizeOf(this.shape)), this.dtype, this.shape)
        : await allocateOnDevice(this.value.device, this.dtype, this.shape);
    return this.spare;
  }

  /** Makes the value that a run has written into `next()` the current one. */
  exchange(): void {
    const written = this.spare!;
    this.spare = this.value;
    this.value = written;
  }

  dispose(): void {
    this.value.dispose();
    this.spare?.dispose();
  }
}
