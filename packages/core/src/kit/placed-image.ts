/** Images on their way to the input of a network, with the place of the whole image. */
import type { PixelWindow } from '../geometry/index.js';
import type { RgbImage } from '../spec.js';

export interface PlacedImage {
  readonly image: RgbImage;
  /**
   * Rectangle of the whole image in edges of these pixels: it reaches outside where something was cut off, and is
   * smaller than `image` where a border was added.
   */
  readonly window: PixelWindow;
}

export const wholeImage = (image: RgbImage): PlacedImage => ({
  image,
  window: { x0: 0, y0: 0, x1: image.width, y1: image.height },
});

const CHANNELS = 3;

export interface Rectangle {
  /** Left and upper edge in pixels. */
  readonly x: number;
  readonly y: number;
  readonly width: number;
  readonly height: number;
}

/** @param rectangle inside of the image. */
export function cutRectangle(image: RgbImage, { x, y, width, height }: Rectangle): RgbImage {
  const data = new Uint8Array(CHANNELS * width * height);
  for (let row = 0; row < height; row++) {
    const start = CHANNELS * ((y + row) * image.width + x);
    data.set(image.data.subarray(start, start + CHANNELS * width), CHANNELS * row * width);
  }
  return { ...image, data, width, height };
}

/** Keeps the middle; the smaller half of an odd remainder is cut off first. @param width, height at most the image's. */
export function cutMiddle(
  { image, window }: PlacedImage,
  width: number,
  height: number,
): PlacedImage {
  if (width === image.width && height === image.height) return { image, window };
  const left = Math.floor((image.width - width) / 2);
  const top = Math.floor((image.height - height) / 2);
  const cut = cutRectangle(image, { x: left, y: top, width, height });
  return { image: cut, window: moved(window, -left, -top) };
}

/** Centres an image on white; the smaller half of an odd remainder comes first. */
export const padWhite = (placed: PlacedImage, width: number, height: number): PlacedImage =>
  padCentre(placed, width, height, [255, 255, 255]);

/** Centres an image on a colour of 0 … 255 each; the smaller half of an odd remainder comes first. */
export function padCentre(
  { image, window }: PlacedImage,
  width: number,
  height: number,
  colour: readonly number[],
): PlacedImage {
  if (width === image.width && height === image.height) return { image, window };
  const left = Math.floor((width - image.width) / 2);
  const top = Math.floor((height - image.height) / 2);
  const data = new Uint8Array(width * height * CHANNELS);
  const lineBytes = width * CHANNELS;
  for (let i = 0; i < lineBytes; i++) data[i] = colour[i % CHANNELS]!;
  for (let row = 1; row < height; row++) data.copyWithin(row * lineBytes, 0, lineBytes);
  const stride = image.width * CHANNELS;
  for (let row = 0; row < image.height; row++) {
    const line = image.data.subarray(row * stride, (row + 1) * stride);
    data.set(line, ((top + row) * width + left) * CHANNELS);
  }
  return { image: { ...image, data, width, height }, window: moved(window, left, top) };
}

const moved = ({ x0, y0, x1, y1 }: PixelWindow, right: number, down: number): PixelWindow => ({
  x0: x0 + right,
  y0: y0 + down,
  x1: x1 + right,
  y1: y1 + down,
});
