/** Images to network input. Source: Depth Anything 3, utils/io/input_processor.py. */
import {
  cutMiddle,
  IMAGENET_STATISTICS,
  type ImageSize,
  type PixelWindow,
  type PlacedImage,
  resizeArea,
  resizeCubic,
  roundHalfEven,
  wholeImage,
} from '@spatialsv/core/kit';
import { type RgbImage, SpatialError } from '@spatialsv/core/spec';
import { PATCH } from './da3-config.js';

export const PREPROCESS_METHODS = [
  'upper_bound_resize',
  'upper_bound_crop',
  'lower_bound_resize',
  'lower_bound_crop',
] as const;

/** `upper_bound`: the longer side becomes the resolution, `lower_bound`: the shorter; then whole patches are made. */
export type PreprocessMethod = (typeof PREPROCESS_METHODS)[number];

export interface PreprocessOptions {
  /** Pixels of the bound side. */
  readonly resolution: number;
  readonly method: PreprocessMethod;
}

/** Views as the network takes them: one size, ImageNet-normalised. */
export interface PreparedViews {
  readonly views: number;
  readonly height: number;
  readonly width: number;
  /** (H, W, 3) of each view. */
  readonly pixels: readonly Float32Array[];
  /** Whole image of each view in pixels of the input: larger than the input where something was cut off. */
  readonly windows: readonly PixelWindow[];
}

const { fround } = Math;
const MEAN = IMAGENET_STATISTICS.mean.map(fround);
const DEVIATION = IMAGENET_STATISTICS.std.map(fround);

/**
 * Resizes every image, cuts views of unequal size to the smallest height and width, and normalises.
 * @throws SpatialError DATA_INVALID for an image that is too thin to be cropped to patches.
 */
export const prepareViews = (
  images: readonly RgbImage[],
  options: PreprocessOptions,
): PreparedViews => {
  const fitted = images.map((image) => fitImage(image, options));
  const height = Math.min(...fitted.map(({ image }) => image.height));
  const width = Math.min(...fitted.map(({ image }) => image.width));
  const cut = fitted.map((view) => cutMiddle(view, width, height));
  return {
    views: images.length,
    height,
    width,
    pixels: cut.map(({ image }) => normalise(image)),
    windows: cut.map(({ window }) => window),
  };
};

/**
 * Intrinsics of an image in pixels of the network's input, pixel centres at half numbers.
 * @param intrinsics (3, 3) pixels of the image. @param window of the view. @param size of the image.
 */
export const inputIntrinsics = (
  intrinsics: ArrayLike<number>,
  { x0, y0, x1, y1 }: PixelWindow,
  size: ImageSize,
): number[] => {
  const k = Array.from(intrinsics);
  const [sx, sy] = [(x1 - x0) / size.width, (y1 - y0) / size.height];
  return [k[0]! * sx, k[1]! * sx, k[2]! * sx + x0, 0, k[4]! * sy, k[5]! * sy + y0, 0, 0, 1];
};

/**
 * One image, before views are brought to one size.
 * @throws SpatialError DATA_INVALID for an image that is too thin to be cropped to patches.
 */
export const fitImage = (
  image: RgbImage,
  { resolution, method }: PreprocessOptions,
): PlacedImage => {
  const bounded = resizeBound(image, resolution, method.startsWith('upper') ? Math.max : Math.min);
  const { width, height } = bounded;
  if (method.endsWith('crop')) {
    const [w, h] = [PATCH * Math.floor(width / PATCH), PATCH * Math.floor(height / PATCH)];
    if (w === 0 || h === 0) throw tooThin(image, resolution);
    return cutMiddle(wholeImage(bounded), w, h);
  }
  return wholeImage(resize(bounded, nearestMultiple(width), nearestMultiple(height)));
};

const tooThin = ({ path, width, height }: RgbImage, resolution: number): SpatialError =>
  new SpatialError({
    code: 'DATA_INVALID',
    message: `${path ?? 'image'}: ${width} × ${height} pixels hold no whole patch of ${PATCH} pixels at the resolution ${resolution}`,
    hint: 'Choose a larger resolution, or a method that resizes instead of cropping.',
  });

const resizeBound = (
  image: RgbImage,
  resolution: number,
  side: (a: number, b: number) => number,
): RgbImage => {
  const scale = resolution / side(image.width, image.height);
  const scaled = (length: number) => Math.max(1, roundHalfEven(length * scale));
  return resize(image, scaled(image.width), scaled(image.height));
};

/** Area when nothing grows, cubic otherwise. */
const resize = (image: RgbImage, width: number, height: number): RgbImage => {
  if (width === image.width && height === image.height) return image;
  const grows = width > image.width || height > image.height;
  return grows ? resizeCubic(image, width, height) : resizeArea(image, width, height);
};

/** A tie goes up; nothing becomes smaller than a patch. */
const nearestMultiple = (length: number): number =>
  Math.max(PATCH, PATCH * Math.floor(length / PATCH + 0.5));

/** (H, W, 3) float32, ImageNet statistics. Every step is rounded to float32. */
const normalise = ({ data }: RgbImage): Float32Array => {
  const tables = MEAN.map((mean, c) =>
    Float32Array.from({ length: 256 }, (_, value) =>
      fround(fround(fround(value / 255) - mean) / DEVIATION[c]!),
    ),
  );
  const pixels = new Float32Array(data.length);
  for (let c = 0; c < 3; c++) {
    const table = tables[c]!;
    for (let i = c; i < data.length; i += 3) pixels[i] = table[data[i]!]!;
  }
  return pixels;
};
