import { readFile } from 'node:fs/promises';
import sharp, { type Sharp } from 'sharp';
import { SpatialError } from '../errors.js';
import { resolveFile, unreadable } from '../files.js';
import type { RgbImage } from '../spec.js';

/** Raster formats that are read. Vector formats have no pixels of their own and are refused. */
const FORMATS: readonly string[] = ['jpeg', 'png', 'webp', 'gif', 'tiff', 'heif', 'avif'];

const SHOWN_BYTES = 24;

const describeStart = (bytes: Uint8Array): string => {
  if (bytes.byteLength === 0) return 'an empty file';
  const start = Buffer.from(bytes.subarray(0, SHOWN_BYTES));
  const isText = start.every((byte) => byte === 9 || byte === 10 || byte === 13 || byte >= 32);
  return `a file that starts with ${isText ? JSON.stringify(start.toString()) : start.toString('hex')}`;
};

const invalidImage = (bytes: Uint8Array, name: string, cause?: unknown): SpatialError => {
  const reason = cause === undefined ? '' : ` (${(cause as Error).message.trim()})`;
  return new SpatialError({
    code: 'IMAGE_INVALID',
    message: `${name}: expected an image, found ${describeStart(bytes)}${reason}`,
    hint: 'Readable are complete JPEG, PNG, WebP, GIF, TIFF and AVIF images. Convert or download the file again.',
    cause,
  });
};

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

const decode = async (
  bytes: Uint8Array,
  { alpha = 'drop' }: ReadImageOptions,
): Promise<Raw | undefined> => {
  const open = () => sharp(bytes, { ignoreIcc: true, autoOrient: true, failOn: 'error' });
  const { format, space, hasAlpha } = await open().metadata();
  if (!FORMATS.includes(format)) return undefined;
  if (alpha === 'white' && hasAlpha) {
    const rgba = await toRaw(open().ensureAlpha().toColourspace('srgb'));
    return { ...rgba, data: overWhite(rgba.data) };
  }
  if (space !== 'cmyk') return toRaw(open().removeAlpha().toColourspace('srgb'));
  const raw = await toRaw(open().pipelineColourspace('cmyk').toColourspace('cmyk'));
  return { ...raw, data: convertCmyk(raw.data) };
};

/**
 * Decodes an image to 8-bit RGB: EXIF orientation applied, alpha dropped unless asked otherwise, colour profiles ignored.
 * @param bytes content of an image file.
 * @param name where it came from, for messages.
 * @throws SpatialError IMAGE_INVALID, with what was found.
 * Equal to Pillow's `exif_transpose(image).convert('RGB')`. Deviation: 16-bit greyscale keeps its upper byte, where
 * Pillow saturates every value above 255.
 */
export const decodeImage = async (
  bytes: Uint8Array,
  name: string,
  options: ReadImageOptions = {},
): Promise<RgbImage> => {
  const raw = await decode(bytes, options).catch((error: unknown) => {
    throw invalidImage(bytes, name, error);
  });
  if (!raw) throw invalidImage(bytes, name);
  return { ...raw, path: name };
};

/**
 * Content of an image file, for {@link decodeImage}: what is hashed and what is decoded are then the same bytes.
 * @throws SpatialError FILE_MISSING | FILE_INVALID.
 */
export const readImageBytes = async (path: string): Promise<Uint8Array> => {
  const file = await resolveFile(
    path,
    'Check the path of the image; relative paths start at the working folder.',
  );
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
