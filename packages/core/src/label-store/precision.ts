import { encodeFloat32, type SafetensorsDType } from '../safetensors/dtypes.js';
import type { TensorBytes } from '../safetensors/memory.js';

/** Largest and smallest normal numbers of IEEE 754 binary16; between them rounding costs at most 2⁻¹¹ < 5e-4 of a value. */
const LARGEST = 65504;
const SMALLEST_NORMAL = 2 ** -14;

/** Values of which every one that counts keeps a relative error below 1e-3 in float16. */
const keepsEach = (values: Float32Array, mask: Uint8Array): boolean => {
  for (let i = 0; i < values.length; i++) {
    const value = values[i]!;
    // What lies behind the mask is not measured, but it must not turn infinite either.
    if (Math.abs(value) > LARGEST) return false;
    if (mask[i] === 1 && value < SMALLEST_NORMAL) return false;
  }
  return true;
};

/**
 * Largest |value|; NaN where one is NaN. Reads the bits, which order as the sizes do; four maxima at a time, because one would
 * wait for itself at every value.
 */
export const largestOf = (values: Float32Array): number => {
  const words = new Int32Array(values.buffer, values.byteOffset, values.length);
  const whole = words.length & ~3;
  let [a, b, c, d] = [0, 0, 0, 0];
  for (let i = 0; i < whole; i += 4) {
    const p = words[i]! & 0x7fffffff;
    const q = words[i + 1]! & 0x7fffffff;
    const r = words[i + 2]! & 0x7fffffff;
    const s = words[i + 3]! & 0x7fffffff;
    if (p > a) a = p;
    if (q > b) b = q;
    if (r > c) c = r;
    if (s > d) d = s;
  }
  const rest = words.subarray(whole).map((word) => word & 0x7fffffff);
  return new Float32Array(Int32Array.of(Math.max(a, b, c, d, ...rest)).buffer)[0]!;
};

const rootMeanSquare = (values: Float32Array): number => {
  let sum = 0;
  for (let i = 0; i < values.length; i++) sum += values[i]! * values[i]!;
  return Math.sqrt(sum / values.length);
};

/**
 * Features of which every value keeps an error below 1e-3 of itself or of their root mean square, whichever is larger:
 * normal numbers keep 2⁻¹¹ of themselves, subnormal ones 2⁻²⁵, which is small beside any root mean square above 2⁻¹⁵.
 */
const keepsFeatures = (values: Float32Array): boolean => {
  const largest = largestOf(values);
  if (largest > LARGEST) return false;
  const leastRootMeanSquare = largest / Math.sqrt(values.length);
  return leastRootMeanSquare >= 2 ** -15 || rootMeanSquare(values) >= 2 ** -15;
};

const floatTensor = (
  values: Float32Array,
  shape: readonly number[],
  dtype: SafetensorsDType,
): TensorBytes => ({ dtype, shape, bytes: encodeFloat32(dtype, values) });

/** Positive values with a mask (depth, confidence): float16 where that costs less than 1e-3 of each valid one. */
export const maskedTensor = (
  values: Float32Array,
  mask: Uint8Array,
  shape: readonly number[],
): TensorBytes => floatTensor(values, shape, keepsEach(values, mask) ? 'F16' : 'F32');

/** Features: float16 where that costs less than 1e-3 of each value or of their root mean square. */
export const featureTensor = (values: Float32Array, shape: readonly number[]): TensorBytes =>
  floatTensor(values, shape, keepsFeatures(values) ? 'F16' : 'F32');

/** Cameras stay as they are: an error of 5e-4 in a rotation moves every point. */
export const exactTensor = (values: Float32Array, shape: readonly number[]): TensorBytes =>
  floatTensor(values, shape, 'F32');

/**
 * One bit a pixel, first pixel in the highest bit of the first byte, each view padded with zeros to whole bytes: what
 * `numpy.unpackbits` reads.
 * @param mask (V, pixels) of 0 and 1.
 * @returns (V, ⌈pixels / 8⌉).
 */
export const packMask = (mask: Uint8Array, views: number): Uint8Array => {
  const pixels = mask.length / views;
  const rowBytes = Math.ceil(pixels / 8);
  const packed = new Uint8Array(views * rowBytes);
  for (let view = 0; view < views; view++)
    for (let i = 0; i < pixels; i++)
      packed[view * rowBytes + (i >> 3)]! |= mask[view * pixels + i]! << (7 - (i & 7));
  return packed;
};

/** Inverse of {@link packMask}. */
export const unpackMask = (packed: Uint8Array, views: number, pixels: number): Uint8Array => {
  const rowBytes = packed.length / views;
  const mask = new Uint8Array(views * pixels);
  for (let view = 0; view < views; view++)
    for (let i = 0; i < pixels; i++)
      mask[view * pixels + i] = (packed[view * rowBytes + (i >> 3)]! >> (7 - (i & 7))) & 1;
  return mask;
};
