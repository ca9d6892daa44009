/**
 * Convolutions as matrix products over gathered pixels: small ones, gradients by filters, and by inputs of strided layers.
 * Gradients exist for undilated filters only, as in tfjs.
 */
import { type Graph, sizeOf, type Value } from '../graph/graph.js';
import { planesFromBlocked } from './blocked-layout.js';
import { isBlockable } from './conv-blocked.js';
import { hasImageFilters, imageFilterGradient } from './conv-filter-gradient.js';
import type { ConvInfo } from './conv-info.js';
import { binary } from './elementwise.js';
import { matMul } from './matmul.js';
import { reduce } from './reduce.js';
import { concat } from './shape.js';
import { sharedTable } from './shared-table.js';

/** Marks a place outside of the image, which counts as zero. */
const OUTSIDE = -1;
/** Most rows that the row-wise filter gradient may add to those of the output. */
const MOST_EXTRA_ROWS = 1.25;

/** Output pixels of a batch up to which another layout of the filter costs more than the product itself. */
const FEW_PIXELS = 256;

/** GPUs have a good convolution of their own. */
export const hasFewPixels = (graph: Graph, info: ConvInfo): boolean =>
  !graph.withoutCpuOperators && info.batchSize * info.outHeight * info.outWidth <= FEW_PIXELS;

/** Which pixels are gathered; `key` tells tables of one graph apart. */
interface Pick {
  readonly key: string;
  /** Entries per row of the result. */
  readonly taps: number;
  readonly index: () => Int32Array;
}

/** Whole pixels of images (N, p, C), by their place: (N · rows, taps · C). */
function gatherPixels(graph: Graph, images: Value, pick: Pick): Value {
  const [batch, places, channels] = images.shape as [number, number, number];
  const table = sharedTable(graph, `${pick.key} of ${places}`, () =>
    pick.index().map((place) => (place === OUTSIDE ? places : place)),
  );
  const entries = table.shape[0]!;
  const reachesOutside = (table.constant as Int32Array).includes(places);
  const source = reachesOutside ? withZeroPixel(graph, images) : images;
  const type = { shape: [batch, entries, channels], dtype: 'float32' as const };
  const picked = graph.add('Gather', [source, table], type, { attributes: { axis: 1 } });
  return graph.reshape(picked, [(batch * entries) / pick.taps, pick.taps * channels]);
}

/** (N, p + 1, C): a pixel of zeros behind the others. */
function withZeroPixel(graph: Graph, images: Value): Value {
  const [batch, places, channels] = images.shape as [number, number, number];
  const pads = graph.int64([0, 0, 0, 0, 1, 0]);
  const type = { shape: [batch, places + 1, channels], dtype: 'float32' as const };
  return graph.add('Pad', [images, pads, graph.scalar(0)], type);
}

const asPixels = (graph: Graph, image: Value): Value => {
  const [batch, height, width, channels] = image.shape as [number, number, number, number];
  return graph.reshape(image, [batch, height * width, channels]);
};

/** Table of `rows` × `columns` × `taps` places. */
function table(
  [rows, columns, taps]: readonly [number, number, number],
  place: (row: number, column: number, tap: number) => number,
): Int32Array {
  return Int32Array.from({ length: rows * columns * taps }, (_, i) => {
    const tap = i % taps;
    const cell = (i - tap) / taps;
    return place(Math.floor(cell / columns), cell % columns, tap);
  });
}

const within = (value: number, size: number): boolean => value >= 0 && value < size;

/** Numbers that tell geometries apart. */
const geometry = (info: ConvInfo): string =>
  [
    ...[info.inHeight, info.inWidth, info.outHeight, info.outWidth],
    ...[info.filterHeight, info.filterWidth, info.strideHeight, info.strideWidth],
    ...[info.dilationHeight, info.dilationWidth, info.padInfo.top, info.padInfo.left],
  ].join();

/** Place in the input that tap (ky, kx) of output row y, column x reads. */
function inputPlace(info: ConvInfo, y: number, x: number, ky: number, kx: number): number {
  const row = y * info.strideHeight + ky * info.dilationHeight - info.padInfo.top;
  const column = x * info.strideWidth + kx * info.dilationWidth - info.padInfo.left;
  const inside = within(row, info.inHeight) && within(column, info.inWidth);
  return inside ? row * info.inWidth + column : OUTSIDE;
}

/** dL/dfilter in two orders; a node that moves values is written when it is asked for. */
export interface FilterGradient {
  /** (sets · out, taps, in). */
  readonly outputsFirst: () => Value;
  /** (taps, sets · out, in). */
  readonly tapsFirst: () => Value;
}

/** @param x (N, h, w, in). @param dy (N, oh, ow, out). */
export function filterGradient(graph: Graph, x: Value, dy: Value, info: ConvInfo): FilterGradient {
  const rows = info.outHeight + info.filterHeight - 1;
  const isLarge = !graph.withoutCpuOperators && rows * info.outWidth >= LARGE_IMAGE;
  if (isLarge && !hasFewPixels(graph, info) && hasImageFilters(graph, info))
    return byImageFilters(graph, x, dy, info);
  const rowWise = info.strideHeight === 1 && rows <= MOST_EXTRA_ROWS * info.outHeight;
  const product = rowWise
    ? (isLarge ? planeProduct : rowWiseProduct)(graph, x, dy, info, rows)
    : fullProduct(graph, x, dy, info);
  const taps = info.filterHeight * info.filterWidth;
  const pixels = graph.reshape(product, [info.sets * info.outChannels, taps, info.inChannels]);
  return { outputsFirst: () => pixels, tapsFirst: () => graph.transpose(pixels, [1, 0, 2]) };
}

/** Pixels of an image, those added among them, from which images are taken one by one. */
const LARGE_IMAGE = 256;

function byImageFilters(graph: Graph, x: Value, dy: Value, info: ConvInfo): FilterGradient {
  const gradient = imageFilterGradient(graph, x, dy, info); // (kw, sets · out, kh, in)
  const [outputs, taps] = [info.sets * info.outChannels, info.filterHeight * info.filterWidth];
  const ordered = (axes: readonly number[], shape: readonly number[]) =>
    graph.reshape(graph.transpose(gradient, axes), shape);
  return {
    outputsFirst: () => ordered([1, 2, 0, 3], [outputs, taps, info.inChannels]),
    tapsFirst: () => ordered([2, 0, 1, 3], [taps, outputs, info.inChannels]),
  };
}

/** dyᵀ · columns of x, of all taps: (sets, out, taps · in). */
function fullProduct(graph: Graph, x: Value, dy: Value, info: ConvInfo): Value {
  const rows = graph.reshape(dy, [sizeOf(dy.shape.slice(0, 3)), info.outChannels]);
  return turnedProduct(graph, rows, columnsOf(graph, x, info), info);
}

/** aᵀ · b, summed over the rows of all images of a set. @param a (rows, A). @param b (rows, B). @returns (sets, A, B). */
function turnedProduct(graph: Graph, a: Value, b: Value, info: ConvInfo): Value {
  if (info.sets === 1) return matMul(graph, a, b, { transposeA: true });
  const [left, right] = [a, b].map((rows) => bySet(graph, rows, info)) as [Value, Value];
  return reduce(graph, 'ReduceSum', matMul(graph, left, right, { transposeA: true }), 0);
}

/** Rows of all images (rows, C) apart: (N / sets, sets, rows of an image, C). */
function bySet(graph: Graph, rows: Value, { batchSize, sets }: ConvInfo): Value {
  const [count, channels] = rows.shape as [number, number];
  return graph.reshape(rows, [batchSize / sets, sets, count / batchSize, channels]);
}

/** What each output reads of x (N, h, w, in): (N · oh · ow, taps · in). */
function columnsOf(graph: Graph, x: Value, info: ConvInfo): Value {
  const { outHeight, outWidth, filterHeight, filterWidth } = info;
  const taps = filterHeight * filterWidth;
  return gatherPixels(graph, asPixels(graph, x), {
    key: `all taps ${geometry(info)}`,
    taps,
    index: () =>
      table([outHeight, outWidth, taps], (row, column, tap) =>
        inputPlace(info, row, column, Math.floor(tap / filterWidth), tap % filterWidth),
      ),
  });
}

/**
 * The convolution as one product, which needs no other layout of the filter.
 * @param x (N, h, w, in). @param filter (sets · out, taps, in). @param bias (sets · out). @returns (N, oh, ow, out).
 */
export function columnConvolution(
  graph: Graph,
  x: Value,
  filter: Value,
  bias: Value | undefined,
  info: ConvInfo,
): Value {
  const columns = columnsOf(graph, x, info);
  if (info.sets > 1) return columnsBySet(graph, columns, filter, bias, info);
  const matrix = graph.reshape(filter, [info.outChannels, columns.shape[1]!]);
  const inputs = bias === undefined ? [columns, matrix] : [columns, matrix, bias];
  const type = { shape: [columns.shape[0]!, info.outChannels], dtype: 'float32' as const };
  const product = graph.add('Gemm', inputs, type, { attributes: { transA: 0, transB: 1 } });
  return graph.reshape(product, info.outShape);
}

function columnsBySet(
  graph: Graph,
  columns: Value,
  filter: Value,
  bias: Value | undefined,
  info: ConvInfo,
): Value {
  const { sets, outChannels } = info;
  const matrices = graph.reshape(filter, [sets, outChannels, columns.shape[1]!]);
  const product = matMul(graph, bySet(graph, columns, info), matrices, { transposeB: true });
  if (bias === undefined) return graph.reshape(product, info.outShape);
  const offset = graph.reshape(bias, [sets, 1, outChannels]);
  return graph.reshape(binary(graph, 'Add', product, offset), info.outShape);
}

/**
 * The same with a third of the memory traffic: x shifted along its rows times dy shifted along its columns. Summing over
 * every row r of the padded input, Σ_r x[r, c + kx] · dy[r − ky, c] meets each pair of tap and output once.
 */
function rowWiseProduct(graph: Graph, x: Value, dy: Value, info: ConvInfo, rows: number): Value {
  const { outHeight, outWidth, filterHeight } = info;
  const shiftedInput = alongRows(graph, x, info, rows);
  const shiftedGradient = gatherPixels(graph, asPixels(graph, dy), {
    key: `along columns ${geometry(info)}`,
    taps: filterHeight,
    index: () =>
      table([rows, outWidth, filterHeight], (row, column, ky) => {
        const from = row - ky;
        return within(from, outHeight) ? from * outWidth + column : OUTSIDE;
      }),
  });
  const product = turnedProduct(graph, shiftedGradient, shiftedInput, info);
  return outputsFirst(graph, product, info);
}

/** dy as planes (N, out, oh, ow). */
const planesOf = (graph: Graph, dy: Value, info: ConvInfo): Value =>
  isBlockable(graph, info) ? planesFromBlocked(graph, dy) : graph.transpose(dy, [0, 3, 1, 2]);

/**
 * The same image by image, with dy as planes: shifting a plane by whole rows is moving all of it at once, the left factor needs no
 * transposition, and no image is read by two threads.
 */
function planeProduct(graph: Graph, x: Value, dy: Value, info: ConvInfo, rows: number): Value {
  const { batchSize, outChannels, outHeight, outWidth, filterHeight, filterWidth, inChannels } =
    info;
  const planes = graph.reshape(planesOf(graph, dy, info), [
    batchSize * outChannels,
    outHeight * outWidth,
  ]);
  // For tap ky: ky rows of zeros, the plane, and as many rows of zeros as make it one of `rows`.
  const between = [batchSize * outChannels, filterHeight * outWidth];
  const zeros = graph.expand(graph.scalar(0), between);
  const parts = Array.from({ length: 2 * filterHeight - 1 }, (_, i) =>
    i % 2 === 0 ? planes : zeros,
  );
  const shifted = graph.reshape(concat(graph, parts, 1), [
    batchSize,
    outChannels * filterHeight,
    rows * outWidth,
  ]);
  const shiftedInput = graph.reshape(alongRows(graph, x, info, rows), [
    batchSize,
    rows * outWidth,
    filterWidth * inChannels,
  ]);
  const product = matMul(graph, shifted, shiftedInput);
  const size = [batchSize / info.sets, info.sets, ...product.shape.slice(1)];
  return reduce(graph, 'ReduceSum', graph.reshape(product, size), 0);
}

/** x shifted along its rows, as tap kx of every row of the padded input reads it: (N · rows · ow, kx · in). */
function alongRows(graph: Graph, x: Value, info: ConvInfo, rows: number): Value {
  const { outWidth, filterWidth } = info;
  return gatherPixels(graph, asPixels(graph, x), {
    key: `along rows ${geometry(info)}`,
    taps: filterWidth,
    index: () =>
      table([rows, outWidth, filterWidth], (row, column, kx) =>
        inputPlace(info, row, column, 0, kx),
      ),
  });
}

/** (sets, ky · out, kx · in) to (sets · out, ky · kx · in), by whole pixels: ONNX Runtime's general transpose is ten times slower. */
function outputsFirst(graph: Graph, product: Value, info: ConvInfo): Value {
  const { sets, filterHeight, filterWidth, outChannels, inChannels } = info;
  const runs = sets * filterHeight * outChannels * filterWidth;
  const pixels = graph.reshape(product, [runs, inChannels]);
  const place = (output: number, ky: number, kx: number) => {
    const set = Math.floor(output / outChannels);
    const row = (set * filterHeight + ky) * outChannels + (output % outChannels);
    return row * filterWidth + kx;
  };
  const key = `outputs first ${filterHeight},${filterWidth},${sets},${outChannels}`;
  const order = sharedTable(graph, key, () =>
    table([sets * outChannels, filterHeight, filterWidth], place),
  );
  const type = { shape: pixels.shape, dtype: 'float32' as const };
  return graph.add('Gather', [pixels, order], type, { attributes: { axis: 0 } });
}

/**
 * dL/dx of any stride: one product gives what every output sends to every tap, then each pixel of x collects its share.
 * @param dy (N, oh, ow, out). @param filter (sets · out, taps, in). @returns (N, h, w, in).
 */
export function collectedInputGradient(
  graph: Graph,
  dy: Value,
  filter: Value,
  info: ConvInfo,
): Value {
  const [, taps, inputs] = filter.shape as [number, number, number];
  const { sets, outChannels } = info;
  const rows = graph.reshape(dy, [sizeOf(dy.shape.slice(0, 3)), outChannels]);
  const matrices = graph.reshape(filter, [sets, outChannels, taps * inputs]);
  const sent = matMul(graph, sets === 1 ? rows : bySet(graph, rows, info), matrices);
  const places = info.outHeight * info.outWidth * taps;
  const terms =
    Math.ceil(info.filterHeight / info.strideHeight) *
    Math.ceil(info.filterWidth / info.strideWidth);
  const collected = gatherPixels(graph, graph.reshape(sent, [dy.shape[0]!, places, inputs]), {
    key: `senders ${geometry(info)}`,
    taps: terms,
    index: () => senders(info, terms),
  });
  const shares = [sizeOf(info.inShape.slice(0, 3)), terms, inputs];
  return graph.reshape(
    reduce(graph, 'ReduceSum', graph.reshape(collected, shares), 1),
    info.inShape,
  );
}

/** Places (output, tap) that read each input, at most `terms` of them, filled up with {@link OUTSIDE}. */
function senders(info: ConvInfo, terms: number): Int32Array {
  const { outHeight, outWidth, filterHeight, filterWidth, inHeight, inWidth } = info;
  const result = new Int32Array(inHeight * inWidth * terms).fill(OUTSIDE);
  const count = new Int32Array(inHeight * inWidth);
  const taps = filterHeight * filterWidth;
  for (let output = 0; output < outHeight * outWidth; output += 1) {
    for (let tap = 0; tap < taps; tap += 1) {
      const [y, x] = [Math.floor(output / outWidth), output % outWidth];
      const input = inputPlace(info, y, x, Math.floor(tap / filterWidth), tap % filterWidth);
      if (input === OUTSIDE) continue;
      result[input * terms + count[input]!] = output * taps + tap;
      count[input]! += 1;
    }
  }
  return result;
}
