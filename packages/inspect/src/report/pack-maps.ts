import { deflateRawSync } from 'node:zlib';
import { type ValueRange, valueRange } from '../color-map.js';
import { isFinitePoint, robustBounds } from '../point-cloud.js';
import type { PageMaps } from './format.js';

/** Maps of one source, in the axes of the page. */
export interface MapsToPack {
  readonly views: number;
  readonly height: number;
  readonly width: number;
  /** (V, H, W); not finite where there is none. */
  readonly depth: Float32Array;
  /** (V, H, W), 1 where valid. */
  readonly mask?: Uint8Array | undefined;
  /** (V, H, W) > 0. */
  readonly confidence?: Float32Array | undefined;
  /** (V, H, W, 3), y up. */
  readonly points: Float32Array;
}

/** How finely maps are packed. */
export interface Detail {
  /** Every so many pixels, across and down. */
  readonly stride: number;
  /** Of depth and position codes, at most 16. */
  readonly bits: number;
}

type Packed = Pick<
  PageMaps,
  | 'width'
  | 'height'
  | 'depthMin'
  | 'depthStep'
  | 'hasConfidence'
  | 'confidenceQuantiles'
  | 'origin'
  | 'step'
  | 'data'
>;

/** Packs maps as {@link PageMaps} says. */
export function packMaps(maps: MapsToPack, { stride, bits }: Detail): Packed {
  const size = {
    width: Math.ceil(maps.width / stride),
    height: Math.ceil(maps.height / stride),
  };
  const chosen = chosenPixels(maps, size, stride);
  const depth = depthCodes(maps, chosen, bits);
  const confidence = maps.confidence && confidenceRanks(maps.confidence, chosen, depth.codes);
  const position = positionCodes(maps, chosen, depth.codes, bits);
  const planes = [
    ...wordPlanes(depth.codes, size.width),
    ...(confidence ? [differences(confidence.ranks, size.width, Uint8Array)] : []),
    ...position.planes.flatMap((plane) => wordPlanes(plane, size.width)),
  ];
  return {
    ...size,
    depthMin: short(depth.min),
    depthStep: depth.step,
    hasConfidence: confidence !== undefined,
    confidenceQuantiles: confidence?.quantiles ?? [],
    origin: position.origin,
    step: position.step,
    data: deflateRawSync(Buffer.concat(planes)).toString('base64'),
  };
}

export const short = (value: number): number => Number(value.toPrecision(6));

/** Index into (V, H, W) of every pixel that is packed: the middle ones of squares of `stride`. */
function chosenPixels(
  { views, height, width }: MapsToPack,
  size: { readonly height: number; readonly width: number },
  stride: number,
): Uint32Array {
  const chosen = new Uint32Array(views * size.height * size.width);
  const place = (i: number, length: number) => Math.min(length - 1, i * stride + (stride >> 1));
  let n = 0;
  for (let view = 0; view < views; view++)
    for (let row = 0; row < size.height; row++)
      for (let column = 0; column < size.width; column++)
        chosen[n++] = (view * height + place(row, height)) * width + place(column, width);
  return chosen;
}

/** Codes from 1 on; 0 where depth is not valid. */
function depthCodes({ depth, mask }: MapsToPack, chosen: Uint32Array, bits: number) {
  const { min, max } = extent(depth, mask);
  const largest = 2 ** bits - 2;
  const step = (max - min) / largest;
  const codes = Uint16Array.from(chosen, (i) =>
    Number.isFinite(depth[i]!) && mask?.[i] !== 0 ? 1 + Math.round((depth[i]! - min) / step) : 0,
  );
  return { codes, min, step };
}

/** Smallest and largest valid depth; an interval around it where there is one alone. */
function extent(depth: Float32Array, mask: Uint8Array | undefined): ValueRange {
  let [min, max] = [Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY];
  for (const [i, value] of depth.entries()) {
    if (!Number.isFinite(value) || mask?.[i] === 0) continue;
    min = Math.min(min, value);
    max = Math.max(max, value);
  }
  return max > min ? { min, max } : valueRange(depth, mask, 0, 1);
}

const QUANTILES = 21;

/** The share, of 255, of valid pixels that are less confident. */
function confidenceRanks(confidence: Float32Array, chosen: Uint32Array, depth: Uint16Array) {
  const valid = chosen.filter((i, n) => depth[n] !== 0 && Number.isFinite(confidence[i]!));
  const sorted = Float32Array.from(valid, (i) => confidence[i]!).sort();
  const last = Math.max(1, sorted.length - 1);
  const ranks = Uint8Array.from(chosen, (i) =>
    Math.round((255 * lowerBound(sorted, confidence[i]!)) / last),
  );
  const quantiles = Array.from({ length: QUANTILES }, (_, i) =>
    short(sorted[Math.round((i / (QUANTILES - 1)) * (sorted.length - 1))] ?? 0),
  );
  return { ranks, quantiles };
}

/** How many of the sorted values are below `value`, one less than all at most. */
function lowerBound(sorted: Float32Array, value: number): number {
  let [low, high] = [0, sorted.length];
  while (low < high) {
    const middle = (low + high) >> 1;
    if (sorted[middle]! < value) low = middle + 1;
    else high = middle;
  }
  return Math.max(0, Math.min(low, sorted.length - 1));
}

/**
 * Codes from 1 on; 0 where a point is not known. Far outliers are clamped to a box around the robust one, so that the rest keeps
 * its precision.
 */
function positionCodes(
  { points }: MapsToPack,
  chosen: Uint32Array,
  depth: Uint16Array,
  bits: number,
) {
  const { min, max } = robustBounds({ positions: validPositions(points, chosen, depth) }, 0.005);
  const largest = 2 ** bits - 2;
  const step = min.map(
    (value, a) => ((1 + 2 * MARGIN) * (max[a]! - value)) / largest || 1 / largest,
  );
  const origin = min.map((value, a) => value - MARGIN * (max[a]! - value) - step[a]!);
  const planes = [0, 1, 2].map((a) =>
    Uint16Array.from(chosen, (i) => {
      if (!isFinitePoint(points, i)) return 0;
      const code = Math.round((points[i * 3 + a]! - origin[a]!) / step[a]!);
      return Math.min(largest + 1, Math.max(1, code));
    }),
  );
  return { planes, origin: origin.map(short), step };
}

/** Enough of the valid points to know where they lie. */
function validPositions(points: Float32Array, chosen: Uint32Array, depth: Uint16Array) {
  const valid: number[] = [];
  for (let n = 0; n < chosen.length; n += Math.ceil(chosen.length / BOUNDING_POINTS)) {
    const i = chosen[n]!;
    if (depth[n] === 0 || !isFinitePoint(points, i)) continue;
    valid.push(points[3 * i]!, points[3 * i + 1]!, points[3 * i + 2]!);
  }
  return Float32Array.from(valid);
}

const BOUNDING_POINTS = 20_000;

/** Room around the robust box, in its sizes. */
const MARGIN = 0.5;

/** Low bytes and high bytes of the differences along the rows. */
function wordPlanes(codes: Uint16Array, width: number): [Uint8Array, Uint8Array] {
  const changes = differences(codes, width, Uint16Array);
  const [low, high] = [new Uint8Array(changes.length), new Uint8Array(changes.length)];
  for (let i = 0; i < changes.length; i++) {
    low[i] = changes[i]! & 255;
    high[i] = changes[i]! >> 8;
  }
  return [low, high];
}

/** value − value before it in its row, modulo the size of the type; zigzag, so that small changes have small codes. */
function differences<A extends Uint8Array | Uint16Array>(
  codes: A,
  width: number,
  type: { new (length: number): A; readonly BYTES_PER_ELEMENT: number },
): A {
  const changes = new type(codes.length);
  const shift = 32 - 8 * type.BYTES_PER_ELEMENT;
  for (let i = 0; i < codes.length; i++) {
    const before = i % width === 0 ? (codes[i - width] ?? 0) : codes[i - 1]!;
    const change = ((codes[i]! - before) << shift) >> shift;
    changes[i] = (change << 1) ^ (change >> 31);
  }
  return changes;
}
