import { SpatialError } from '../errors.js';
import { median } from './median.js';
import { requireLength } from './rays.js';

/** Errors of depth maps: means over images of per-image values over their valid pixels. */
export interface DepthMetrics {
  /** √mean((p − g)²), in the unit of the target. */
  readonly rmse: number;
  /** mean(|p − g| / g). */
  readonly absRel: number;
  /** Fraction of pixels with max(p/g, g/p) < 1.25. */
  readonly delta1: number;
  /** … < 1.25². */
  readonly delta2: number;
  /** … < 1.25³. */
  readonly delta3: number;
}

/** How a prediction is brought to the scale of its target, per image, before it is compared. */
export type DepthAlignment = 'raw' | 'median-scale' | 'least-squares-scale' | 'scale-and-shift';

/** prediction ↦ scale · prediction + shift. */
export interface ScaleAndShift {
  readonly scale: number;
  readonly shift: number;
}

const sum = (values: Float64Array, of: (value: number, i: number) => number): number => {
  let total = 0;
  for (let i = 0; i < values.length; i++) total += of(values[i]!, i);
  return total;
};

const solveScaleAndShift = (p: Float64Array, g: Float64Array): ScaleAndShift => {
  const n = p.length;
  const [meanP, meanG] = [sum(p, (v) => v) / n, sum(g, (v) => v) / n];
  const variance = sum(p, (v) => (v - meanP) ** 2);
  const covariance = sum(p, (v, i) => (v - meanP) * (g[i]! - meanG));
  // A constant prediction has no scale; its best fit is the mean of the target.
  const scale = variance > 0 ? covariance / variance : 0;
  return { scale, shift: meanG - scale * meanP };
};

/** Scale and shift of one image's prediction (its valid pixels) under an alignment. */
export const fitDepth = (
  prediction: Float64Array,
  target: Float64Array,
  alignment: DepthAlignment,
): ScaleAndShift => {
  switch (alignment) {
    case 'raw':
      return { scale: 1, shift: 0 };
    case 'median-scale':
      return { scale: median(target) / median(prediction), shift: 0 };
    case 'least-squares-scale': {
      const product = sum(prediction, (value, i) => value * target[i]!);
      return { scale: product / sum(prediction, (value) => value * value), shift: 0 };
    }
    case 'scale-and-shift':
      return solveScaleAndShift(prediction, target);
  }
};

/** Floor of the denominators of ratios. */
const MIN_RATIO_DEPTH = 1e-9;

const compareImage = (
  prediction: Float64Array,
  target: Float64Array,
  { scale, shift }: ScaleAndShift,
): DepthMetrics => {
  let [squares, relative, below1, below2, below3] = [0, 0, 0, 0, 0];
  for (let i = 0; i < target.length; i++) {
    const [p, g] = [scale * prediction[i]! + shift, target[i]!];
    const ratio = Math.max(p / Math.max(g, MIN_RATIO_DEPTH), g / Math.max(p, MIN_RATIO_DEPTH));
    squares += (p - g) ** 2;
    relative += Math.abs(p - g) / g;
    if (ratio < 1.25) below1++;
    if (ratio < 1.25 ** 2) below2++;
    if (ratio < 1.25 ** 3) below3++;
  }
  const n = target.length;
  return {
    rmse: Math.sqrt(squares / n),
    absRel: relative / n,
    delta1: below1 / n,
    delta2: below2 / n,
    delta3: below3 / n,
  };
};

interface ValidPixels {
  readonly prediction: Float64Array;
  readonly target: Float64Array;
}

/** Valid pixels of one image: in the mask, with a positive target and a finite prediction. */
const collectValid = (
  prediction: ArrayLike<number>,
  target: ArrayLike<number>,
  mask: ArrayLike<number> | undefined,
  start: number,
  end: number,
): ValidPixels => {
  const [p, g]: [number[], number[]] = [[], []];
  for (let i = start; i < end; i++) {
    if ((mask && !mask[i]) || !(target[i]! > 0)) continue;
    if (!Number.isFinite(prediction[i])) throw nonFinite(i, prediction[i]!);
    p.push(prediction[i]!);
    g.push(target[i]!);
  }
  return { prediction: Float64Array.from(p), target: Float64Array.from(g) };
};

const nonFinite = (index: number, value: number): SpatialError =>
  new SpatialError({
    code: 'NON_FINITE',
    message: `predicted depth is ${value} at index ${index}`,
    hint: 'A metric over such a prediction has no meaning. Find the layer that produces it.',
  });

const meanOf = (images: readonly DepthMetrics[]): DepthMetrics => {
  const mean = (name: keyof DepthMetrics): number =>
    images.reduce((total, image) => total + image[name], 0) / images.length;
  return {
    rmse: mean('rmse'),
    absRel: mean('absRel'),
    delta1: mean('delta1'),
    delta2: mean('delta2'),
    delta3: mean('delta3'),
  };
};

export interface DepthComparison {
  /** (V, H, W). */
  readonly prediction: ArrayLike<number>;
  /** (V, H, W); valid where > 0. */
  readonly target: ArrayLike<number>;
  /** (V, H, W), 1 where the target counts. */
  readonly mask?: ArrayLike<number>;
  readonly views: number;
}

/**
 * Depth errors under every alignment; each image is aligned by itself and images without a valid pixel are left out.
 * @throws SpatialError SHAPE_MISMATCH | NON_FINITE for a prediction at a valid pixel | DATA_INVALID without any valid pixel.
 * Source: probe3d, evals/utils/metrics.py (RMSE, δ); absRel is the usual definition.
 */
export const depthMetrics = ({
  prediction,
  target,
  mask,
  views,
}: DepthComparison): Readonly<Record<DepthAlignment, DepthMetrics>> => {
  requireLength('predicted depth', target.length, prediction.length);
  const perView = target.length / views;
  const images = Array.from({ length: views }, (_, view) =>
    collectValid(prediction, target, mask, view * perView, (view + 1) * perView),
  ).filter((image) => image.target.length > 0);
  if (images.length === 0)
    throw new SpatialError({
      code: 'DATA_INVALID',
      message: 'depth metrics: no valid pixel in the target',
      hint: 'Check the mask and the depth of the labels.',
    });
  const under = (alignment: DepthAlignment): DepthMetrics =>
    meanOf(
      images.map((image) =>
        compareImage(
          image.prediction,
          image.target,
          fitDepth(image.prediction, image.target, alignment),
        ),
      ),
    );
  return {
    raw: under('raw'),
    'median-scale': under('median-scale'),
    'least-squares-scale': under('least-squares-scale'),
    'scale-and-shift': under('scale-and-shift'),
  };
};
