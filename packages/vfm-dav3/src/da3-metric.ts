/** Sky, metric scale, and the joining of two networks. Source: Depth Anything 3, model/da3.py, utils/alignment.py. */
import { SpatialError } from '@spatialsv/core/spec';

/** Sky predictions from here on are sky. */
const SKY_THRESHOLD = 0.3;
/** With fewer pixels on either side nothing is done about the sky. */
const MIN_PIXELS = 11;
/** Sky lies as far as this share of the other pixels is near. */
const FAR_QUANTILE = 0.99;
/** Largest depth of sky in metres. */
const MAX_SKY_DEPTH = 200;
/** Focal length in pixels at which the metric network gives metres. */
const CANONICAL_FOCAL = 300;
const MIN_DEPTH = 1e-3;
const MIN_METRIC_DEPTH = 1e-2;

/** 1 where a sky prediction says sky. */
export const skyMask = (sky: Float32Array): Uint8Array =>
  Uint8Array.from(sky, (value) => (value >= SKY_THRESHOLD ? 1 : 0));

/**
 * Puts sky at the far end of the rest, over all views jointly. Few sky or few other pixels leave the depth as it is.
 * @param depth (V, H, W). @param sky (V, H, W) 0 or 1. @returns (V, H, W).
 * Deviation: the quantile is that of all pixels, not of a random 100,000 of them.
 */
export const depthWithSky = (depth: Float32Array, sky: Uint8Array): Float32Array => {
  const ground = depth.filter((_, i) => sky[i] === 0);
  if (ground.length < MIN_PIXELS || sky.length - ground.length < MIN_PIXELS) return depth;
  const far = quantile(ground, FAR_QUANTILE);
  return depth.map((value, i) => (sky[i] === 1 ? far : value));
};

/** With linear interpolation between neighbours, as torch.quantile. */
export const quantile = (values: Float32Array, share: number): number => {
  const sorted = Float32Array.from(values).sort();
  const place = share * (sorted.length - 1);
  const low = Math.floor(place);
  const next = sorted[Math.min(low + 1, sorted.length - 1)]!;
  return sorted[low]! + (place - low) * (next - sorted[low]!);
};

/**
 * Metres from the output of the metric network.
 * @param depth (V, H, W). @param intrinsics (V, 3, 3) pixels of the network's input.
 */
export const metricDepth = (depth: Float32Array, intrinsics: ArrayLike<number>): Float32Array => {
  const perView = depth.length / (intrinsics.length / 9);
  return depth.map((value, i) => {
    const k = 9 * Math.floor(i / perView);
    return (value * (intrinsics[k]! + intrinsics[k + 4]!)) / 2 / CANONICAL_FOCAL;
  });
};

/** What two networks say of the same views, (V, H, W) each. */
export interface NestedDepths {
  /** Of the any-view network, in its own unit. */
  readonly depth: Float32Array;
  readonly depthConfidence: Float32Array;
  /** Of the metric network, in metres. */
  readonly metric: Float32Array;
  /** 0 or 1. */
  readonly sky: Uint8Array;
}

/**
 * Gives the depth of the any-view network the scale of the metric one: s = Σ m·d / Σ d² over the surer half of the
 * pixels that are not sky. Sky is put at the far end, at most 200 m away, with the confidence 1.
 * @throws SpatialError DATA_INVALID when hardly anything but sky is seen.
 */
export const joinNested = (
  depths: NestedDepths,
): {
  readonly scale: number;
  readonly depth: Float32Array;
  readonly depthConfidence: Float32Array;
} => {
  const { sky } = depths;
  const scale = metricScale(depths);
  const scaled = depths.depth.map((value) => value * scale);
  const ground = scaled.filter((_, i) => sky[i] === 0);
  const far = Math.min(quantile(ground, FAR_QUANTILE), MAX_SKY_DEPTH);
  return {
    scale,
    depth: scaled.map((value, i) => (sky[i] === 1 ? far : value)),
    depthConfidence: depths.depthConfidence.map((value, i) => (sky[i] === 1 ? 1 : value)),
  };
};

const metricScale = ({ depth, depthConfidence, metric, sky }: NestedDepths): number => {
  const confidences = depthConfidence.filter((_, i) => sky[i] === 0);
  if (confidences.length < MIN_PIXELS)
    throw new SpatialError({
      code: 'DATA_INVALID',
      message: `the images show ${confidences.length} pixels that are not sky: too few for a metric scale`,
      hint: 'Leave the sample out, or label it with a variant of Depth Anything 3 that is not nested.',
    });
  const median = quantile(confidences, 0.5);
  let both = 0;
  let squares = 0;
  for (let i = 0; i < depth.length; i++) {
    const [d, m] = [depth[i]!, metric[i]!];
    if (sky[i] === 1 || depthConfidence[i]! < median) continue;
    if (d <= MIN_DEPTH || m <= MIN_METRIC_DEPTH) continue;
    both += m * d;
    squares += d * d;
  }
  return both / Math.max(squares, 1e-12);
};
