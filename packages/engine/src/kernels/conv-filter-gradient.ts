/**
 * Gradients by filters as convolutions in the blocked layout. To it an image is a filter: [C/b][h][w/b][b][b of C] is what a
 * convolution of h × w/b taps takes, whose b inputs are neighbours in a row. So the gradient by the output enters as it is, and the
 * input as planes whose rows are cut into runs of b. Rows are shifted by the convolution itself.
 *
 * dL/dfilter[o, ky, kx, i] = Σ_{y, x} dy[y, x + left − kx, o] · in[y + ky − top, x, i]
 */
import { BLOCKED_DOMAIN } from '../graph/choice.js';
import type { Graph, Value } from '../graph/graph.js';
import { planesOfBlocked, toBlocked, wholeBlocks } from './blocked-layout.js';
import { isBlockable } from './conv-blocked.js';
import type { ConvInfo } from './conv-info.js';
import { reduce } from './reduce.js';
import { concat } from './shape.js';

/** Most zeros that whole runs may add to the columns of an image. */
const MOST_EXTRA_COLUMNS = 1.25;
/** Values of an image that as a filter stay in a core's second cache. Beyond, products are as fast. */
const LARGEST_FILTER = 2 ** 17;

/** Whether the images of dy serve as filters: not too large, of whole runs, and of a layer that runs in the layout. */
export function hasImageFilters(graph: Graph, info: ConvInfo): boolean {
  const { left, right } = info.padInfo;
  const isUnit = info.strideHeight === 1 && info.strideWidth === 1;
  if (!isUnit || Math.max(left, right) >= info.filterWidth || !isBlockable(graph, info))
    return false;
  const columns = wholeBlocks(graph, info.inWidth);
  const values = wholeBlocks(graph, info.outChannels) * info.outHeight * columns;
  return columns <= MOST_EXTRA_COLUMNS * info.inWidth && values <= LARGEST_FILTER;
}

/**
 * @param x (N, h, w, in). @param dy (N, oh, ow, out).
 * @returns (kw, sets · out, kh, in).
 */
export function imageFilterGradient(graph: Graph, x: Value, dy: Value, info: ConvInfo): Value {
  const { batchSize, sets, outChannels, filterHeight, filterWidth, inChannels } = info;
  const planes = planesInRuns(graph, x, info);
  const image = toBlocked(graph, dy);
  const columns = Array.from({ length: filterWidth }, (_, kx) =>
    correlate(graph, planes, shiftedColumns(graph, image, kx, info), info),
  );
  const outputs = wholeBlocks(graph, outChannels);
  const perImage = outputs * filterHeight * inChannels;
  const byView = [filterWidth, batchSize / sets, sets * perImage];
  const sum = reduce(graph, 'ReduceSum', graph.reshape(concat(graph, columns, 0), byView), 1);
  const blocked = graph.reshape(sum, [filterWidth * sets, outputs, filterHeight, inChannels]);
  return graph.reshape(planesOfBlocked(graph, blocked, outChannels), [
    filterWidth,
    sets * outChannels,
    filterHeight,
    inChannels,
  ]);
}

/** x as rows of planes in whole runs of b pixels, in the layout: (1, N · b, h, in · runs). */
function planesInRuns(graph: Graph, x: Value, info: ConvInfo): Value {
  const { batchSize, inHeight, inWidth, inChannels } = info;
  const block = graph.channelBlock!;
  const width = wholeBlocks(graph, inWidth);
  const rows = graph.reshape(x, [batchSize * inHeight, 1, inWidth, inChannels]);
  const whole = shifted(graph, toBlocked(graph, rows), {
    tap: 0,
    taps: 1,
    pads: [0, width - inWidth],
  });
  const planes = planesOfBlocked(graph, whole, inChannels);
  return graph.reshape(planes, [1, batchSize * block, inHeight, (inChannels * width) / block]);
}

/**
 * dy as column kx of the filter meets the columns of x, in whole runs.
 * @param image dy in the layout. @returns (N, out', oh, columns) in the layout.
 */
function shiftedColumns(graph: Graph, image: Value, kx: number, info: ConvInfo): Value {
  const { filterWidth, outWidth, inWidth, padInfo } = info;
  const { left } = padInfo;
  const width = wholeBlocks(graph, inWidth);
  const pads = [filterWidth - 1 - left, width - outWidth + left] as const;
  return shifted(graph, image, { tap: filterWidth - 1 - kx, taps: filterWidth, pads });
}

interface Shift {
  /** Column of the padded image with which the result begins, and how many there are to begin with. */
  readonly tap: number;
  readonly taps: number;
  /** Columns of zeros before and behind the image. */
  readonly pads: readonly [number, number];
}

/**
 * Columns of an image in the layout, by a filter of a single one: all threads take part, each with the images that it convolves,
 * and zeros cost nothing. ONNX Runtime copies and pads on one thread.
 */
function shifted(graph: Graph, image: Value, { tap, taps, pads }: Shift): Value {
  const [batch, channels, height, width] = image.shape as [number, number, number, number];
  const [before, behind] = pads;
  const columns = width + before + behind - taps + 1;
  if (tap === before && columns === width) return image;
  const block = graph.channelBlock!;
  const filter = Float32Array.from({ length: channels * taps }, (_, i) =>
    Math.floor(i / block) % taps === tap ? 1 : 0,
  );
  return graph.add(
    'Conv',
    [image, graph.constant(filter, [channels, 1, 1, taps], 'float32')],
    { shape: [batch, channels, height, columns], dtype: 'float32' },
    {
      domain: BLOCKED_DOMAIN,
      attributes: {
        kernel_shape: [1, taps],
        strides: [1, 1],
        dilations: [1, 1],
        pads: [0, before, 0, behind],
        group: channels,
      },
    },
  );
}

/**
 * Every plane under every image of dy, at the offsets of the filter's rows.
 * @param planes as of {@link planesInRuns}. @param images as of {@link shiftedColumns}. @returns (1, N · out', kh, in) in the layout.
 */
function correlate(graph: Graph, planes: Value, images: Value, info: ConvInfo): Value {
  const { batchSize, filterHeight, inChannels, padInfo } = info;
  const [, outputs, height, width] = images.shape as [number, number, number, number];
  const block = graph.channelBlock!;
  const runs = width / block;
  return graph.add(
    'Conv',
    [planes, graph.reshape(images, [batchSize * outputs, block, height, runs])],
    { shape: [1, batchSize * outputs, filterHeight, inChannels], dtype: 'float32' },
    {
      domain: BLOCKED_DOMAIN,
      attributes: {
        kernel_shape: [height, runs],
        strides: [1, runs],
        dilations: [1, 1],
        pads: [padInfo.top, 0, padInfo.bottom, 0],
        group: batchSize,
      },
    },
  );
}
