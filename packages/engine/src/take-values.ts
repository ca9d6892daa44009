import type { DeviceTensor } from './devices/index.js';

/** Values of a float32 result that nobody else needs: it is disposed, also where it cannot be read. */
export async function takeValues(tensor: DeviceTensor): Promise<Float32Array> {
  try {
    return (await tensor.read()) as Float32Array;
  } finally {
    tensor.dispose();
  }
}
