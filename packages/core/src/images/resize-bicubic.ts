import { cubicKernel } from '@spatialsv/engine';
import type { RgbImage } from '../spec.js';

/** Fixed-point weights of one axis: output i is Σ_k weights[i·taps + k] · input[starts[i] + k], k < counts[i]. */
interface AxisWeights {
  readonly starts: Int32Array;
  readonly counts: Int32Array;
  readonly taps: number;
  readonly weights: Int32Array;
}

const PRECISION_BITS = 22;
const HALF = 1 << (PRECISION_BITS - 1);
const CHANNELS = 3;

/** The kernel of Pillow. */
const KERNEL_A = -0.5;

const roundHalfAway = (value: number): number => Math.trunc(value + (value < 0 ? -0.5 : 0.5));

/** Weights that take `from` samples to `to`, the kernel widened by the reduction so that nothing aliases. */
export const bicubicWeights = (from: number, to: number): AxisWeights => {
  const scale = from / to;
  const filterScale = Math.max(scale, 1);
  const support = 2 * filterScale;
  const taps = Math.ceil(support) * 2 + 1;
  const starts = new Int32Array(to);
  const counts = new Int32Array(to);
  const weights = new Int32Array(to * taps);
  for (let i = 0; i < to; i++) {
    const centre = (i + 0.5) * scale;
    const start = Math.max(0, Math.trunc(centre - support + 0.5));
    const count = Math.min(from, Math.trunc(centre + support + 0.5)) - start;
    const exact = new Float64Array(count);
    let sum = 0;
    for (let k = 0; k < count; k++) {
      exact[k] = cubicKernel((k + start - centre + 0.5) / filterScale, KERNEL_A);
      sum += exact[k]!;
    }
    for (let k = 0; k < count; k++)
      weights[i * taps + k] = roundHalfAway((exact[k]! / sum) * (1 << PRECISION_BITS));
    starts[i] = start;
    counts[i] = count;
  }
  return { starts, counts, taps, weights };
};

/** (rows, from, 3) → (rows, to, 3). Sums stay within int32: 255 · Σ|w| < 1.3 · 2³⁰. */
const resizeRows = (data: Uint8Array, rows: number, from: number, to: number): Uint8Array => {
  const { starts, counts, taps, weights } = bicubicWeights(from, to);
  const output = new Uint8ClampedArray(rows * to * CHANNELS);
  for (let row = 0, o = 0; row < rows; row++) {
    const rowStart = row * from * CHANNELS;
    for (let i = 0; i < to; i++) {
      let red = HALF;
      let green = HALF;
      let blue = HALF;
      let p = rowStart + starts[i]! * CHANNELS;
      const end = i * taps + counts[i]!;
      for (let k = i * taps; k < end; k++) {
        const weight = weights[k]!;
        red += weight * data[p]!;
        green += weight * data[p + 1]!;
        blue += weight * data[p + 2]!;
        p += CHANNELS;
      }
      output[o++] = red >> PRECISION_BITS;
      output[o++] = green >> PRECISION_BITS;
      output[o++] = blue >> PRECISION_BITS;
    }
  }
  return new Uint8Array(output.buffer);
};

/** (from, width, 3) → (to, width, 3). */
const resizeColumns = (data: Uint8Array, width: number, from: number, to: number): Uint8Array => {
  const { starts, counts, taps, weights } = bicubicWeights(from, to);
  const stride = width * CHANNELS;
  const output = new Uint8ClampedArray(to * stride);
  const sums = new Int32Array(stride);
  for (let i = 0; i < to; i++) {
    sums.fill(HALF);
    for (let k = 0; k < counts[i]!; k++) {
      const weight = weights[i * taps + k]!;
      const row = (starts[i]! + k) * stride;
      for (let x = 0; x < stride; x++) sums[x]! += weight * data[row + x]!;
    }
    for (let x = 0; x < stride; x++) output[i * stride + x] = sums[x]! >> PRECISION_BITS;
  }
  return new Uint8Array(output.buffer);
};

/**
 * Antialiased bicubic resampling, bit-exact with Pillow's `Image.resize((width, height), BICUBIC)` on 8-bit RGB: two
 * passes in 22-bit fixed point, horizontal first, rounded to 8 bits between them.
 * @param image (height, width, 3).
 * @throws RangeError when a size is not a positive integer.
 */
export const resizeBicubic = (image: RgbImage, width: number, height: number): RgbImage => {
  for (const size of [width, height])
    if (!Number.isInteger(size) || size < 1)
      throw new RangeError(
        `resizeBicubic: expected positive integer sizes, found ${width}×${height}`,
      );
  let { data } = image;
  if (width !== image.width) data = resizeRows(data, image.height, image.width, width);
  if (height !== image.height) data = resizeColumns(data, width, image.height, height);
  return { ...image, data, width, height };
};
