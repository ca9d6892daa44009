/**
 * Images as VGGT takes them. Source: VGGT, vggt/utils/load_fn.py. Deviations: the side of 518 pixels is a setting, EXIF
 * orientation is applied, and transparency of any kind goes over white (there: only that of RGBA images).
 */
import {
  cutMiddle,
  type PixelWindow,
  type PlacedImage,
  padWhite,
  resizeBicubic,
  roundHalfEven,
  wholeImage,
} from '@spatialsv/core/kit';
import { type RgbImage, SpatialError } from '@spatialsv/core/spec';

/** `crop`: the width fills the side, tall images lose top and bottom. `pad`: the longer side fills it, the rest is white. */
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
   * Per view the rectangle that its whole image takes, in edges of these pixels: it reaches outside where content was
   * cropped, and is smaller than the view where white was added.
   */
  readonly windows: readonly PixelWindow[];
}

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
  const height = Math.max(...placed.map((view) => view.image.height));
  const width = Math.max(...placed.map((view) => view.image.width));
  const padded = placed.map((view) => padWhite(view, width, height));
  const pixels = new Uint8Array(images.length * height * width * 3);
  padded.forEach(({ image: { data } }, view) => {
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
  const whole = wholeImage(resizeBicubic(image, width, height));
  if (mode === 'pad') return padWhite(whole, resolution, resolution);
  return cutMiddle(whole, width, Math.min(height, resolution));
}

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
    hint: 'Crop the image to a less extreme shape, or raise the resolution.',
  });
