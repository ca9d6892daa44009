/**
 * Pictures as VGGT takes them. Source: VGGT, vggt/utils/load_fn.py. Deviations: the side of 518 pixels is a setting, EXIF
 * orientation is applied, and transparency of any kind goes over white (there: only that of RGBA images).
 */
import {
  type PixelWindow,
  type RgbImage,
  resizeBicubic,
  roundHalfEven,
  SpatialError,
} from '@spatialsv/core';

/** `crop`: the width fills the side, tall pictures lose top and bottom. `pad`: the longer side fills it, the rest is white. */
export type PrepareMode = 'crop' | 'pad';

export interface PrepareOptions {
  readonly mode: PrepareMode;
  /** Side in pixels, a multiple of the patch. */
  readonly resolution: number;
  readonly patchSize: number;
}

/** A view set of one size. */
export interface PreparedImages {
  readonly views: number;
  readonly height: number;
  readonly width: number;
  /** (V, H, W, 3) 8-bit RGB. */
  readonly pixels: Uint8Array;
  /**
   * Per view the rectangle that its whole picture takes, in edges of these pixels: it reaches outside where content was
   * cropped, and is smaller than the view where white was added.
   */
  readonly windows: readonly PixelWindow[];
}

/** Bytes of a view with the place of its picture. */
interface PlacedImage extends RgbImage {
  readonly window: PixelWindow;
}

const CHANNELS = 3;
const WHITE = 255;

/**
 * Resizes (Pillow's bicubic), crops or pads; views that then differ in size are padded with white to the largest.
 * @throws SpatialError DATA_INVALID without images; IMAGE_INVALID for one that has less than half a patch on its shorter
 *   side after the resize.
 */
export function prepareImages(
  images: readonly RgbImage[],
  options: PrepareOptions,
): PreparedImages {
  if (images.length === 0) throw noImages();
  const placed = images.map((image) => place(image, options));
  const height = Math.max(...placed.map((view) => view.height));
  const width = Math.max(...placed.map((view) => view.width));
  const padded = placed.map((view) => pad(view, width, height));
  const pixels = new Uint8Array(images.length * height * width * CHANNELS);
  padded.forEach(({ data }, view) => {
    pixels.set(data, view * data.length);
  });
  const windows = padded.map(({ window }) => window);
  return { views: images.length, height, width, pixels, windows };
}

function place(image: RgbImage, { mode, resolution, patchSize }: PrepareOptions): PlacedImage {
  const isByHeight = mode === 'pad' && image.height > image.width;
  const follows = (side: number, leading: number) =>
    roundHalfEven((side * (resolution / leading)) / patchSize) * patchSize;
  const width = isByHeight ? follows(image.width, image.height) : resolution;
  const height = isByHeight ? resolution : follows(image.height, image.width);
  if (width === 0 || height === 0) throw tooNarrow(image, resolution);
  const resized = resizeBicubic(image, width, height);
  const whole = { ...resized, window: { x0: 0, y0: 0, x1: width, y1: height } };
  return mode === 'pad' ? pad(whole, resolution, resolution) : cropRows(whole, resolution);
}

/** Keeps the middle `limit` rows of a taller picture. */
function cropRows(image: PlacedImage, limit: number): PlacedImage {
  if (image.height <= limit) return image;
  const start = Math.floor((image.height - limit) / 2);
  const stride = image.width * CHANNELS;
  const data = image.data.subarray(start * stride, (start + limit) * stride);
  return { ...image, data, height: limit, window: moved(image.window, 0, -start) };
}

/** Centres a picture on white; the smaller half of an odd remainder comes first. */
function pad(image: PlacedImage, width: number, height: number): PlacedImage {
  if (image.width === width && image.height === height) return image;
  const left = Math.floor((width - image.width) / 2);
  const top = Math.floor((height - image.height) / 2);
  const data = new Uint8Array(width * height * CHANNELS).fill(WHITE);
  const stride = image.width * CHANNELS;
  for (let row = 0; row < image.height; row++) {
    const line = image.data.subarray(row * stride, (row + 1) * stride);
    data.set(line, ((top + row) * width + left) * CHANNELS);
  }
  return { ...image, data, width, height, window: moved(image.window, left, top) };
}

const moved = ({ x0, y0, x1, y1 }: PixelWindow, right: number, down: number): PixelWindow => ({
  x0: x0 + right,
  y0: y0 + down,
  x1: x1 + right,
  y1: y1 + down,
});

const noImages = (): SpatialError =>
  new SpatialError({
    code: 'DATA_INVALID',
    message: 'vggt: expected one or more images, found none',
    hint: 'Leave samples without images out of labelling.',
  });

const tooNarrow = ({ path, width, height }: RgbImage, resolution: number): SpatialError =>
  new SpatialError({
    code: 'IMAGE_INVALID',
    message: `${path ?? 'image'}: ${width}×${height} pixels become less than half a patch high or wide at ${resolution} pixels`,
    hint: 'Crop the picture to a less extreme shape, or raise the resolution.',
  });
