import { encodePng, type RgbImage, SpatialError } from '@spatialsv/core';
import sharp from 'sharp';

/** PNG bytes of an RGB image. */
export const rgbPng = (image: RgbImage): Promise<Uint8Array> =>
  encodePng(image.data, { width: image.width, height: image.height, channels: 3 });

/** JPEG bytes of an RGB image, scaled down so that its longer side is at most `maxSidePx`. */
export async function encodeJpeg(image: RgbImage, maxSidePx: number): Promise<Buffer> {
  return sharp(image.data, { raw: { width: image.width, height: image.height, channels: 3 } })
    .resize({ width: maxSidePx, height: maxSidePx, fit: 'inside', withoutEnlargement: true })
    .jpeg({ quality: 85, chromaSubsampling: '4:4:4' })
    .toBuffer();
}

/** A smaller JPEG of a JPEG; the same bytes where its longer side is `maxSidePx` at most. */
export async function shrinkJpeg(jpeg: Uint8Array, maxSidePx: number): Promise<Uint8Array> {
  const { width, height } = await sharp(jpeg).metadata();
  if (Math.max(width, height) <= maxSidePx) return jpeg;
  return sharp(jpeg)
    .resize({ width: maxSidePx, height: maxSidePx, fit: 'inside' })
    .jpeg({ quality: 80 })
    .toBuffer();
}

const LARGEST_CODE = 65535;
const MILLI = 1e-3;

/**
 * 16-bit grey PNG of a depth map in whole steps; 0 means no depth, 65535 steps or more saturate.
 * @param depth (H, W) float32. @param mask 1 where depth is valid.
 * @param step depth of one step, in the unit of the map; a thousandth where absent: millimetres for metric depth.
 */
export async function encodeDepthPng16(
  depth: Float32Array,
  height: number,
  width: number,
  mask?: Uint8Array,
  step = MILLI,
): Promise<Uint8Array> {
  const codes = new Uint16Array(height * width);
  for (let i = 0; i < codes.length; i++) {
    const valid = Number.isFinite(depth[i]!) && depth[i]! > 0 && mask?.[i] !== 0;
    codes[i] = valid ? Math.min(LARGEST_CODE, Math.max(1, Math.round(depth[i]! / step))) : 0;
  }
  return encodePng(codes, { width, height, channels: 1 });
}

/**
 * Places images of equal height next to each other, for a label beside its prediction.
 * @param gapPx white columns between neighbours.
 * @throws SpatialError SHAPE_MISMATCH when the heights differ.
 */
export function placeSideBySide(images: readonly RgbImage[], gapPx = 8): RgbImage {
  const height = images[0]?.height ?? 0;
  const other = images.find((image) => image.height !== height);
  if (other !== undefined) {
    throw new SpatialError({
      code: 'SHAPE_MISMATCH',
      message: `placeSideBySide: expected every image to be ${height} pixels high, found ${other.height}`,
      hint: 'Resize the images to one height first.',
    });
  }
  const width = images.reduce((sum, image) => sum + image.width + gapPx, -gapPx);
  const data = new Uint8Array(height * width * 3).fill(255);
  let left = 0;
  for (const image of images) {
    for (let row = 0; row < height; row++) {
      const source = image.data.subarray(row * image.width * 3, (row + 1) * image.width * 3);
      data.set(source, (row * width + left) * 3);
    }
    left += image.width + gapPx;
  }
  return { data, height, width };
}

/**
 * RGB of an image at a point of the unit square, bilinear, edges repeated.
 * @param u from the left edge (0) to the right edge (1). @param v from the top edge to the bottom edge.
 */
export function sampleRgb(
  image: RgbImage,
  u: number,
  v: number,
  out: Uint8Array,
  at: number,
): void {
  const x = Math.min(image.width - 1, Math.max(0, u * image.width - 0.5));
  const y = Math.min(image.height - 1, Math.max(0, v * image.height - 0.5));
  const x0 = Math.floor(x);
  const y0 = Math.floor(y);
  const x1 = Math.min(image.width - 1, x0 + 1);
  const y1 = Math.min(image.height - 1, y0 + 1);
  for (let c = 0; c < 3; c++) {
    const pixel = (row: number, column: number) =>
      image.data[(row * image.width + column) * 3 + c]!;
    const top = pixel(y0, x0) * (1 - (x - x0)) + pixel(y0, x1) * (x - x0);
    const bottom = pixel(y1, x0) * (1 - (x - x0)) + pixel(y1, x1) * (x - x0);
    out[at + c] = Math.round(top * (1 - (y - y0)) + bottom * (y - y0));
  }
}
