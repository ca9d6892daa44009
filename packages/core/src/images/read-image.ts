import { readFile } from 'node:fs/promises';
import sharp, { type Sharp } from 'sharp';
import { SpatialError } from '../errors.js';
import { fileKind } from '../file-kind.js';
import { unreadable } from '../files.js';
import type { RgbImage } from '../spec.js';
import { readGifFrame } from './gif-frame.js';
import {
  damagedImage,
  type ImageHeader,
  imageHeader,
  invalidImage,
  requireImageFile,
} from './image-header.js';

interface Raw {
  readonly data: Uint8Array;
  readonly height: number;
  readonly width: number;
}

/** Multiplies values 0..255 as fractions of 255, rounded. */
const multiply255 = (a: number, b: number): number => {
  const product = a * b + 128;
  return ((product >> 8) + product) >> 8;
};

/** The plain conversion without colour profiles that Pillow uses: rgb = (1 − k)(1 − cmy). */
const convertCmyk = (cmyk: Uint8Array): Uint8Array => {
  const rgb = new Uint8Array((cmyk.length / 4) * 3);
  for (let i = 0, o = 0; i < cmyk.length; i += 4) {
    const light = 255 - cmyk[i + 3]!;
    for (let c = 0; c < 3; c++) rgb[o++] = light - multiply255(cmyk[i + c]!, light);
  }
  return rgb;
};

export interface ReadImageOptions {
  /** What becomes of transparency: left out, or blended over white (partly transparent pixels grow lighter). */
  readonly alpha?: 'drop' | 'white';
}

/** (…, 4) over white, rounded as Pillow's `alpha_composite` rounds. */
const overWhite = (rgba: Uint8Array): Uint8Array => {
  const rgb = new Uint8Array((rgba.length / 4) * 3);
  for (let i = 0, o = 0; i < rgba.length; i += 4) {
    const alpha = rgba[i + 3]!;
    for (let c = 0; c < 3; c++) rgb[o++] = multiply255(rgba[i + c]!, alpha) + 255 - alpha;
  }
  return rgb;
};

const toRaw = async (pipeline: Sharp): Promise<Raw> => {
  const { data, info } = await pipeline.raw({ depth: 'uchar' }).toBuffer({
    resolveWithObject: true,
  });
  return { data: new Uint8Array(data), height: info.height, width: info.width };
};

const open = (bytes: Uint8Array): Sharp =>
  sharp(bytes, { ignoreIcc: true, autoOrient: true, failOn: 'error' });

async function decode(
  bytes: Uint8Array,
  { format, depth, hasAlpha, path }: ImageHeader,
  { alpha = 'drop' }: ReadImageOptions,
): Promise<Raw> {
  const { space } = await open(bytes).metadata();
  if (space === 'grey16') return decodeGrey16(bytes, path);
  if (depth !== 'uchar' && depth !== 'ushort') throw invalidDepth(path, depth);
  if (hasAlpha && alpha === 'white') {
    const rgba = await toRaw(open(bytes).ensureAlpha().toColourspace('srgb'));
    return { ...rgba, data: overWhite(rgba.data) };
  }
  if (format === 'GIF') return decodeGif(bytes);
  if (space !== 'cmyk') return toRaw(open(bytes).removeAlpha().toColourspace('srgb'));
  const raw = await toRaw(open(bytes).pipelineColourspace('cmyk').toColourspace('cmyk'));
  return { ...raw, data: convertCmyk(raw.data) };
}

/** Pixels that are not seen have the colour that their palette gives them, as in Pillow. */
async function decodeGif(bytes: Uint8Array): Promise<Raw> {
  const { data: rgba, ...size } = await toRaw(open(bytes).ensureAlpha().toColourspace('srgb'));
  const { left, top, width, height, hidden } = readGifFrame(bytes);
  const data = new Uint8Array((rgba.length / 4) * 3);
  for (let pixel = 0; pixel < size.width * size.height; pixel++) {
    const [x, y] = [(pixel % size.width) - left, Math.floor(pixel / size.width) - top];
    const isSeen = rgba[4 * pixel + 3] !== 0 && x >= 0 && x < width && y >= 0 && y < height;
    data.set(isSeen ? rgba.subarray(4 * pixel, 4 * pixel + 3) : hidden, 3 * pixel);
  }
  return { ...size, data };
}

/** Below it an image of 16 bits is nearly black: a map of distances, or one of 10 to 13 bits. */
const LEAST_WHITE = 1 << 13;

/**
 * Grey of 16 bits: the upper byte. Values of 8 bits that lie in 16 are taken as they are, as Pillow does.
 * @throws SpatialError IMAGE_INVALID for values that mean neither.
 */
async function decodeGrey16(bytes: Uint8Array, name: string): Promise<Raw> {
  const pipeline = open(bytes).removeAlpha().toColourspace('grey16').raw({ depth: 'ushort' });
  const { data, info } = await pipeline.toBuffer({ resolveWithObject: true });
  const values = new Uint16Array(data.buffer, data.byteOffset, data.byteLength / 2);
  let largest = 0;
  for (const value of values) largest = Math.max(largest, value);
  if (largest > 255 && largest < LEAST_WHITE) throw unscaled(name, largest);
  const shift = largest > 255 ? 8 : 0;
  const pixels = info.height * info.width;
  const rgb = new Uint8Array(3 * pixels);
  for (let pixel = 0; pixel < pixels; pixel++)
    rgb.fill(values[pixel * info.channels]! >> shift, 3 * pixel, 3 * pixel + 3);
  return { data: rgb, height: info.height, width: info.width };
}

const unscaled = (name: string, largest: number): SpatialError =>
  new SpatialError({
    code: 'IMAGE_INVALID',
    message: `${name}: expected a photograph, found 16-bit grey with values up to ${largest} of 65535: it would be nearly black`,
    hint: 'Is it a depth map? Otherwise scale it to 8 bits, for example `magick IN -auto-level -depth 8 OUT.png`.',
  });

const invalidDepth = (name: string, depth: string): SpatialError =>
  invalidImage(
    name,
    `one of ${depth} values, whose range nothing tells`,
    'Scale it to 8 bits a value, for example `magick IN -auto-level -depth 8 OUT.png`.',
  );

/**
 * Decodes an image to 8-bit RGB: EXIF orientation applied, alpha dropped unless asked otherwise, colour profiles ignored.
 * @param bytes content of an image file.
 * @param name where it came from, for messages.
 * @throws SpatialError IMAGE_INVALID, with what was found.
 * Equal to Pillow's `exif_transpose(image).convert('RGB')`. Deviation: 16-bit greyscale keeps its upper byte, where
 * Pillow saturates every value above 255; values between that mean neither are refused.
 */
export const decodeImage = async (
  bytes: Uint8Array,
  name: string,
  options: ReadImageOptions = {},
): Promise<RgbImage> => {
  const header = await imageHeader(bytes, name);
  const raw = await decode(bytes, header, options).catch((error: unknown) => {
    throw SpatialError.isInstance(error) ? error : damagedImage(name, fileKind(bytes), error);
  });
  return { ...raw, path: name };
};

/**
 * Content of an image file, for {@link decodeImage}: what is hashed and what is decoded are then the same bytes.
 * @throws SpatialError FILE_MISSING | FILE_INVALID; IMAGE_INVALID for a file that is too large.
 */
export const readImageBytes = async (path: string): Promise<Uint8Array> => {
  const { file } = await requireImageFile(path);
  return readFile(file).catch((error: unknown) => {
    throw unreadable(path, error);
  });
};

/**
 * Reads an image file as {@link decodeImage} does.
 * @throws SpatialError FILE_MISSING | FILE_INVALID | IMAGE_INVALID.
 */
export const readImage = async (path: string, options: ReadImageOptions = {}): Promise<RgbImage> =>
  decodeImage(await readImageBytes(path), path, options);
