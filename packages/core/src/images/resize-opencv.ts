import type { RgbImage } from '../spec.js';

const CHANNELS = 3;

const requireSize = (width: number, height: number): void => {
  if (Number.isInteger(width) && Number.isInteger(height) && width > 0 && height > 0) return;
  throw new RangeError(`expected a positive integer size, found ${width} × ${height}`);
};

const clampByte = (value: number): number => Math.min(Math.max(value, 0), 255);

/** To the nearest integer, ties to the even one, as processors round. */
const roundHalfEven = (value: number): number => {
  const below = Math.floor(value);
  const rest = value - below;
  if (rest !== 0.5) return rest < 0.5 ? below : below + 1;
  return below % 2 === 0 ? below : below + 1;
};

// ---------------------------------------------------------------------------------------------- area

/** One addend of an axis: output `to` takes `weight` of input `from`. */
interface AreaTerm {
  readonly to: number;
  readonly from: number;
  /** Rounded to float32. */
  readonly weight: number;
}

/** Edges nearer to a pixel boundary than this are taken to lie on it. */
const EDGE = 1e-3;

/** Share of every input in every output along one axis, outputs ascending, inputs ascending within them. */
const areaTerms = (from: number, to: number): readonly AreaTerm[] => {
  const scale = 1 / (to / from);
  const terms: AreaTerm[] = [];
  for (let i = 0; i < to; i++) {
    const [start, end] = [i * scale, i * scale + scale];
    const cell = Math.min(scale, from - start);
    const last = Math.min(Math.floor(end), from - 1);
    const first = Math.min(Math.ceil(start), last);
    const add = (input: number, share: number) =>
      terms.push({ to: i, from: input, weight: Math.fround(share / cell) });
    if (first - start > EDGE) add(first - 1, first - start);
    for (let input = first; input < last; input++) add(input, 1);
    if (end - last > EDGE) add(last, Math.min(end - last, 1, cell));
  }
  return terms;
};

/** One source row in output columns, float32 sums in the order of the terms. */
const reduceRow = (
  image: RgbImage,
  row: number,
  terms: readonly AreaTerm[],
  into: Float32Array,
): void => {
  into.fill(0);
  const start = row * image.width * CHANNELS;
  for (const { to, from, weight } of terms)
    for (let c = 0; c < CHANNELS; c++) {
      const value = Math.fround(image.data[start + from * CHANNELS + c]! * weight);
      into[to * CHANNELS + c]! += value;
    }
};

const reduceFractional = (image: RgbImage, width: number, height: number): Uint8Array => {
  const columns = areaTerms(image.width, width);
  const stride = width * CHANNELS;
  const row = new Float32Array(stride);
  const sums = new Float32Array(height * stride);
  for (const { to, from, weight } of areaTerms(image.height, height)) {
    reduceRow(image, from, columns, row);
    for (let i = 0; i < stride; i++) sums[to * stride + i]! += Math.fround(row[i]! * weight);
  }
  return Uint8Array.from(sums, (sum) => clampByte(roundHalfEven(sum)));
};

/** Blocks of whole pixels are summed as integers. */
const reduceBlocks = (image: RgbImage, width: number, height: number): Uint8Array => {
  const [fx, fy] = [image.width / width, image.height / height];
  const share = Math.fround(1 / (fx * fy));
  // Blocks of 2 × 2 round ties up, all others to even.
  const round = (sum: number): number =>
    fx === 2 && fy === 2 ? (sum + 2) >> 2 : roundHalfEven(Math.fround(sum * share));
  const data = new Uint8Array(width * height * CHANNELS);
  for (let i = 0; i < data.length; i++) {
    const c = i % CHANNELS;
    const pixel = (i - c) / CHANNELS;
    const [x, y] = [(pixel % width) * fx, Math.floor(pixel / width) * fy];
    let sum = 0;
    for (let dy = 0; dy < fy; dy++)
      for (let dx = 0; dx < fx; dx++)
        sum += image.data[((y + dy) * image.width + x + dx) * CHANNELS + c]!;
    data[i] = round(sum);
  }
  return data;
};

/**
 * Reduces an 8-bit image to the mean of the area that every new pixel covers: OpenCV's `INTER_AREA`, bit for bit.
 * @param width @param height of the result, neither larger than the image's.
 * @throws RangeError for a size that is empty, fractional or larger than the image.
 * Source: OpenCV 5.0, modules/imgproc/src/resize.cpp (computeResizeAreaTab, ResizeArea, ResizeAreaFast).
 */
export const resizeArea = (image: RgbImage, width: number, height: number): RgbImage => {
  requireSize(width, height);
  if (width > image.width || height > image.height)
    throw new RangeError(
      `area resizing only reduces: ${image.width} × ${image.height} to ${width} × ${height}`,
    );
  const isWhole = image.width % width === 0 && image.height % height === 0;
  const reduce = isWhole ? reduceBlocks : reduceFractional;
  return { ...image, data: reduce(image, width, height), width, height };
};

// ---------------------------------------------------------------------------------------------- cubic

/** Four neighbours of every output along one axis, clamped to the border, and their weights. */
interface CubicTaps {
  readonly inputs: Int32Array;
  readonly weights: Float64Array;
}

const A = -0.75;

/** Weights of the neighbours at −1, 0, 1, 2 of a position `t` in [0, 1) past neighbour 0. */
const cubicWeights = (t: number): readonly number[] => {
  const near = (x: number): number => ((A + 2) * x - (A + 3)) * x * x + 1;
  const far = (x: number): number => ((A * x - 5 * A) * x + 8 * A) * x - 4 * A;
  const [before, first, second] = [far(t + 1), near(t), near(1 - t)];
  return [before, first, second, 1 - before - first - second];
};

const cubicTaps = (from: number, to: number): CubicTaps => {
  const inputs = new Int32Array(4 * to);
  const weights = new Float64Array(4 * to);
  for (let i = 0; i < to; i++) {
    const source = (i + 0.5) * (from / to) - 0.5;
    const first = Math.floor(source);
    weights.set(cubicWeights(source - first), 4 * i);
    for (let k = 0; k < 4; k++) inputs[4 * i + k] = Math.min(Math.max(first - 1 + k, 0), from - 1);
  }
  return { inputs, weights };
};

const cubicRows = (image: RgbImage, width: number): Float64Array => {
  const { inputs, weights } = cubicTaps(image.width, width);
  const rows = new Float64Array(image.height * width * CHANNELS);
  let o = 0;
  for (let y = 0; y < image.height; y++)
    for (let x = 0; x < width; x++)
      for (let c = 0; c < CHANNELS; c++) {
        let sum = 0;
        for (let k = 4 * x; k < 4 * x + 4; k++)
          sum += weights[k]! * image.data[(y * image.width + inputs[k]!) * CHANNELS + c]!;
        rows[o++] = sum;
      }
  return rows;
};

/**
 * Cubic interpolation of an 8-bit image with a = −0.75 and no smoothing when it shrinks: OpenCV's `INTER_CUBIC`.
 * @param width @param height of the result.
 * @throws RangeError for an empty or fractional size.
 * Source: OpenCV 5.0. Its builds differ among themselves: those with Intel's primitives, the usual ones, round the exact
 * value as this function does, but for about one value in 50,000 that lies on a tie; the others, and all of them for images of a few pixels, weigh with 11-bit
 * integers and are one grey level off in about one value of 20.
 */
export const resizeCubic = (image: RgbImage, width: number, height: number): RgbImage => {
  requireSize(width, height);
  const rows = cubicRows(image, width);
  const stride = width * CHANNELS;
  const { inputs, weights } = cubicTaps(image.height, height);
  const data = new Uint8Array(height * stride);
  for (let y = 0; y < height; y++)
    for (let i = 0; i < stride; i++) {
      let sum = 0;
      for (let k = 4 * y; k < 4 * y + 4; k++) sum += weights[k]! * rows[inputs[k]! * stride + i]!;
      data[y * stride + i] = clampByte(roundHalfEven(sum));
    }
  return { ...image, data, width, height };
};
