import { allocateOnDevice, type DeviceValue, type ExecutionProvider } from '../executor/index.js';
import type { TensorSpec } from '../specs.js';

/** Values of a device by name, made at their first use, that stay where they are. */
export class FixedValues {
  readonly #values = new Map<string, DeviceValue>();

  async at(
    name: string,
    { dtype, shape }: TensorSpec,
    device: ExecutionProvider,
  ): Promise<DeviceValue> {
    const value = this.#values.get(name) ?? (await allocateOnDevice(device, dtype, shape));
    this.#values.set(name, value);
    return value;
  }

  dispose(): void {
    for (const value of this.#values.values()) value.dispose();
    this.#values.clear();
  }
}
