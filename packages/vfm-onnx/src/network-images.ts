import {
  type ImageSize,
  type PixelWindow,
  resizeArea,
  resizeBicubic,
  resizeCubic,
  roundHalfEven,
} from '@spatialsv/core/kit';
import { type RgbImage, SpatialError } from '@spatialsv/core/spec';
import type { ResizeMethod } from './manifest.js';
import type { InputPlan } from './plan.js';

/** One image as the network sees it. */
export interface NetworkImage extends ImageSize {
  /** (3, height, width), normalised. */
  readonly pixels: Float32Array;
  /** Of the file. */
  readonly original: ImageSize;
  /** The whole image at the scale of the network's input, of which the input is the middle. */
  readonly scaled: ImageSize;
  /** Where the input begins in `scaled`. */
  readonly offset: { readonly x: number; readonly y: number };
}

/** Area when nothing grows, cubic otherwise. */
const resizeOpencv = (image: RgbImage, width: number, height: number): RgbImage => {
  const grows = width > image.width || height > image.height;
  return grows ? resizeCubic(image, width, height) : resizeArea(image, width, height);
};

const RESIZE: Readonly<
  Record<ResizeMethod, (image: RgbImage, width: number, height: number) => RgbImage>
> = { 'pillow-bicubic': resizeBicubic, opencv: resizeOpencv };

const IMAGENET = {
  mean: [0.485, 0.456, 0.406].map(Math.fround),
  deviation: [0.229, 0.224, 0.225].map(Math.fround),
} as const;
const CHANNELS = 3;

/**
 * Brings the images of a request to one size, crops and normalises them.
 * @throws SpatialError DATA_INVALID when the size follows the image and the images differ in shape.
 */
export function prepareImages(images: readonly RgbImage[], plan: InputPlan): NetworkImage[] {
  const sizes = images.map((image) => networkSize(image, plan));
  const other = sizes.findIndex(
    ({ height, width }) => height !== sizes[0]!.height || width !== sizes[0]!.width,
  );
  if (other > 0) throw differentShapes(images, sizes, other);
  return images.map((image, view) => prepareImage(image, sizes[view]!, plan));
}

/**
 * Size of the network's input for an image, in whole patches. Rounded once as VGGT does (vggt/utils/load_fn.py), or by
 * way of whole pixels as Depth Anything 3 does (utils/io/input_processor.py).
 */
export function networkSize(
  image: ImageSize,
  { size, resize }: Pick<InputPlan, 'size' | 'resize'>,
): ImageSize {
  if ('height' in size) return size;
  const { multipleOf } = size;
  const patches = (length: number, round: (value: number) => number) =>
    multipleOf * Math.max(1, round(length / multipleOf));
  if (resize === 'opencv') {
    const bounded = boundedSize(image, size.longestSide);
    const tieUp = (value: number) => Math.floor(value + 0.5);
    return { width: patches(bounded.width, tieUp), height: patches(bounded.height, tieUp) };
  }
  const scale = size.longestSide / Math.max(image.width, image.height);
  return {
    width: patches(image.width * scale, roundHalfEven),
    height: patches(image.height * scale, roundHalfEven),
  };
}

/** The image with its longest side of a length, in whole pixels. */
function boundedSize({ width, height }: ImageSize, longestSide: number): ImageSize {
  const scale = longestSide / Math.max(width, height);
  const side = (length: number) => Math.max(1, roundHalfEven(length * scale));
  return { width: side(width), height: side(height) };
}

function prepareImage(image: RgbImage, to: ImageSize, plan: InputPlan): NetworkImage {
  const scaled = plan.fit === 'stretch' ? to : coveringSize(image, to);
  const offset = {
    x: Math.floor((scaled.width - to.width) / 2),
    y: Math.floor((scaled.height - to.height) / 2),
  };
  const resized = resizeTo(image, scaled, plan);
  return {
    ...to,
    pixels: normalisedPixels(resized, offset, to, plan.normalisation),
    original: { width: image.width, height: image.height },
    scaled,
    offset,
  };
}

function resizeTo(image: RgbImage, to: ImageSize, { resize, size }: InputPlan): RgbImage {
  const isInTwoSteps = resize === 'opencv' && !('height' in size);
  const steps = isInTwoSteps ? [boundedSize(image, size.longestSide), to] : [to];
  return steps.reduce<RgbImage>(
    (current, { width, height }) =>
      width === current.width && height === current.height
        ? current
        : RESIZE[resize](current, width, height),
    image,
  );
}

/** Smallest size of the image's own proportions that covers the input. */
function coveringSize(image: ImageSize, to: ImageSize): ImageSize {
  const scale = Math.max(to.width / image.width, to.height / image.height);
  return {
    width: Math.max(to.width, Math.round(image.width * scale)),
    height: Math.max(to.height, Math.round(image.height * scale)),
  };
}

function normalisedPixels(
  { data, width }: RgbImage,
  offset: { readonly x: number; readonly y: number },
  to: ImageSize,
  normalisation: InputPlan['normalisation'],
): Float32Array {
  const plane = to.width * to.height;
  const pixels = new Float32Array(CHANNELS * plane);
  for (let c = 0; c < CHANNELS; c++) {
    const mean = normalisation === 'unit' ? 0 : IMAGENET.mean[c]!;
    const deviation = normalisation === 'unit' ? 1 : IMAGENET.deviation[c]!;
    for (let y = 0; y < to.height; y++) {
      const row = (y + offset.y) * width + offset.x;
      for (let x = 0; x < to.width; x++) {
        const value = Math.fround(data[(row + x) * CHANNELS + c]! / 255);
        pixels[c * plane + y * to.width + x] = Math.fround(value - mean) / deviation;
      }
    }
  }
  return pixels;
}

/** Rectangle of the original image that the network sees, in its pixel edges. */
export function seenWindow({ scaled, offset, width, height, original }: NetworkImage): PixelWindow {
  const [sx, sy] = [original.width / scaled.width, original.height / scaled.height];
  return {
    x0: offset.x * sx,
    y0: offset.y * sy,
    x1: (offset.x + width) * sx,
    y1: (offset.y + height) * sy,
  };
}

/** The whole image as a rectangle around the network's input, in pixel edges of that input. */
export const wholeWindow = ({ scaled, offset }: NetworkImage): PixelWindow => ({
  x0: 0 - offset.x,
  y0: 0 - offset.y,
  x1: scaled.width - offset.x,
  y1: scaled.height - offset.y,
});

function differentShapes(
  images: readonly RgbImage[],
  sizes: readonly ImageSize[],
  other: number,
): SpatialError {
  const told = [0, other].map((view) => {
    const { path, width, height } = images[view]!;
    return `${path ?? `image ${view + 1}`} (${width}×${height}) becomes ${sizes[view]!.width}×${sizes[view]!.height}`;
  });
  return new SpatialError({
    code: 'DATA_INVALID',
    message: `the views of one run need one size: ${told.join(', ')}`,
    hint: 'Write a fixed "input": { "size": { "height": …, "width": … }, "fit": "centre-crop" } for images of several shapes.',
  });
}
