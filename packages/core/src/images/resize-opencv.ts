import type { RgbImage } from '../spec.js';

const CHANNELS = 3;

const { fround } = Math;

const requireSize = (width: number, height: number): void => {
  if (Number.isInteger(width) && Number.isInteger(height) && width > 0 && height > 0) return;
  throw new RangeError(`expected a positive integer size, found ${width} × ${height}`);
};

/** Clamped arrays round to the nearest integer, ties to the even one, just as processors do. */
const bytes = ({ buffer }: Uint8ClampedArray): Uint8Array => new Uint8Array(buffer);

// ---------------------------------------------------------------------------------------------- area

/** Addends of an axis: output `to[k]` takes `weights[k]` of input `from[k]`; outputs ascend, inputs within them too. */
interface AreaTerms {
  readonly to: readonly number[];
  readonly from: readonly number[];
  readonly weights: readonly number[];
}

/** Edges nearer to a pixel boundary than this are taken to lie on it. */
const EDGE = 1e-3;

/** Share of every input in every output along one axis, rounded to float32. */
const areaTerms = (inputs: number, outputs: number): AreaTerms => {
  const scale = 1 / (outputs / inputs);
  const terms = { to: [] as number[], from: [] as number[], weights: [] as number[] };
  for (let i = 0; i < outputs; i++) {
    const [start, end] = [i * scale, i * scale + scale];
    const cell = Math.min(scale, inputs - start);
    const last = Math.min(Math.floor(end), inputs - 1);
    const first = Math.min(Math.ceil(start), last);
    const add = (input: number, share: number) => {
      terms.to.push(i);
      terms.from.push(input);
      terms.weights.push(fround(share / cell));
    };
    if (first - start > EDGE) add(first - 1, first - start);
    for (let input = first; input < last; input++) add(input, 1);
    if (end - last > EDGE) add(last, Math.min(end - last, 1, cell));
  }
  return terms;
};

/** One source row in output columns: float32 sums, in the order of the terms. */
const reduceRow = (
  { data, width }: RgbImage,
  row: number,
  { to, from, weights }: AreaTerms,
  into: Float32Array,
): void => {
  into.fill(0);
  const start = row * width * CHANNELS;
  for (let k = 0; k < to.length; k++) {
    const source = start + from[k]! * CHANNELS;
    const target = to[k]! * CHANNELS;
    const weight = weights[k]!;
    into[target]! += fround(data[source]! * weight);
    into[target + 1]! += fround(data[source + 1]! * weight);
    into[target + 2]! += fround(data[source + 2]! * weight);
  }
};

const reduceFractional = (image: RgbImage, width: number, height: number): Uint8ClampedArray => {
  const columns = areaTerms(image.width, width);
  const rows = areaTerms(image.height, height);
  const stride = width * CHANNELS;
  const row = new Float32Array(stride);
  const sums = new Float32Array(height * stride);
  for (let k = 0; k < rows.to.length; k++) {
    reduceRow(image, rows.from[k]!, columns, row);
    const target = rows.to[k]! * stride;
    const weight = rows.weights[k]!;
    for (let i = 0; i < stride; i++) sums[target + i]! += fround(row[i]! * weight);
  }
  return new Uint8ClampedArray(sums);
};

/** Blocks of whole pixels are summed as integers. Blocks of 2 × 2 round ties up, all others to even. */
const reduceBlocks = (image: RgbImage, width: number, height: number): Uint8ClampedArray => {
  const [fx, fy] = [image.width / width, image.height / height];
  const share = fround(1 / (fx * fy));
  const isSmall = fx === 2 && fy === 2;
  const data = new Uint8ClampedArray(width * height * CHANNELS);
  for (let i = 0; i < data.length; i++) {
    const c = i % CHANNELS;
    const pixel = (i - c) / CHANNELS;
    const [x, y] = [(pixel % width) * fx, Math.floor(pixel / width) * fy];
    let sum = 0;
    for (let dy = 0; dy < fy; dy++)
      for (let dx = 0; dx < fx; dx++)
        sum += image.data[((y + dy) * image.width + x + dx) * CHANNELS + c]!;
    data[i] = isSmall ? (sum + 2) >> 2 : fround(sum * share);
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
  return { ...image, data: bytes(reduce(image, width, height)), width, height };
};

// ---------------------------------------------------------------------------------------------- cubic

/** Four neighbours of every output along one axis, clamped to the border, and their weights. */
interface CubicTaps {
  readonly inputs: Int32Array;
  readonly weights: Float64Array;
}

type Four = [number, number, number, number];

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

const cubicRows = ({ data, width: inputs, height }: RgbImage, width: number): Float64Array => {
  const taps = cubicTaps(inputs, width);
  const rows = new Float64Array(height * width * CHANNELS);
  let o = 0;
  for (let y = 0; y < height; y++) {
    const start = y * inputs * CHANNELS;
    for (let x = 0; x < width; x++) {
      let red = 0;
      let green = 0;
      let blue = 0;
      for (let k = 4 * x; k < 4 * x + 4; k++) {
        const weight = taps.weights[k]!;
        const source = start + taps.inputs[k]! * CHANNELS;
        red += weight * data[source]!;
        green += weight * data[source + 1]!;
        blue += weight * data[source + 2]!;
      }
      rows[o++] = red;
      rows[o++] = green;
      rows[o++] = blue;
    }
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
  const data = new Uint8ClampedArray(height * stride);
  for (let y = 0; y < height; y++) {
    const [a, b, c, d] = [0, 1, 2, 3].map((k) => inputs[4 * y + k]! * stride) as Four;
    const [wa, wb, wc, wd] = weights.subarray(4 * y, 4 * y + 4) as unknown as Four;
    for (let i = 0; i < stride; i++)
      data[y * stride + i] =
        wa * rows[a + i]! + wb * rows[b + i]! + wc * rows[c + i]! + wd * rows[d + i]!;
  }
  return { ...image, data: bytes(data), width, height };
};
