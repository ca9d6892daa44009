import { stat } from 'node:fs/promises';
import sharp, { type Metadata } from 'sharp';
import { SpatialError } from '../errors.js';
import { type FileKind, fileKind, readFileKind } from '../file-kind.js';
import { resolveFile, unreadable } from '../files.js';
import type { ImageSizeV1 } from '../spec.js';

/** Formats that are decoded, and what libvips calls them. */
const READABLE: Readonly<Record<string, string>> = {
  JPEG: 'jpeg',
  PNG: 'png',
  GIF: 'gif',
  WebP: 'webp',
  TIFF: 'tiff',
  AVIF: 'heif',
};

/** Largest file and image that are read: nothing a camera writes is near them, and no file shall fill the memory. */
const MAX_IMAGE_BYTES = 1 << 30;
const MAX_IMAGE_PIXELS = 1 << 28;

/** Formats of cameras that look like TIFF, of which a decoder would take the thumbnail. */
const CAMERA_RAW = /\.(dng|nef|nrw|arw|srf|sr2|cr2|orf|rw2|pef|raf|3fr|iiq|erf|kdc|mos)$/i;

const HINT =
  'Readable are complete JPEG, PNG, WebP, GIF, TIFF and AVIF images. Convert the file or get it again.';

export const invalidImage = (
  name: string,
  found: string,
  hint: string = HINT,
  cause?: unknown,
): SpatialError =>
  new SpatialError({
    code: 'IMAGE_INVALID',
    message: `${name}: expected an image, found ${found}`,
    hint,
    cause,
  });

/**
 * The format of an image that can be decoded.
 * @param name for messages; its ending tells raw files of cameras.
 * @throws SpatialError IMAGE_INVALID, with what the file is instead.
 */
function requireReadable(kind: FileKind, name: string): string {
  const isRaw = kind.image === 'TIFF' && CAMERA_RAW.test(name);
  if (isRaw)
    throw invalidImage(name, 'a raw image of a camera', 'Develop it to JPEG or TIFF first.');
  if (kind.image !== undefined && READABLE[kind.image] !== undefined) return kind.image;
  throw invalidImage(name, kind.name, kind.hint === undefined ? HINT : kind.hint);
}

/** What is known of an image without its pixels. */
export interface ImageHeader extends ImageSizeV1 {
  readonly path: string;
  /** `JPEG`, `PNG`, … */
  readonly format: string;
  readonly bytes: number;
  /** Of a value: `uchar`, `ushort`, `float`, … */
  readonly depth: string;
  readonly channels: number;
  readonly hasAlpha: boolean;
  /** More than one for animations and documents; the first one is read. */
  readonly frames: number;
  /** Whether EXIF turns or mirrors it. */
  readonly isTurned: boolean;
}

/**
 * Reads the header of an image file.
 * @throws SpatialError FILE_MISSING | FILE_INVALID | IMAGE_INVALID, naming the file.
 */
export async function readImageHeader(path: string): Promise<ImageHeader> {
  const { bytes } = await requireImageFile(path);
  const kind = await readFileKind(path).catch((error: unknown) => {
    throw unreadable(path, error);
  });
  return { ...(await headerOf(path, kind, path)), bytes };
}

/** @throws SpatialError FILE_MISSING unless it is a regular file; IMAGE_INVALID for one that is too large. */
export async function requireImageFile(
  path: string,
): Promise<{ readonly file: string; readonly bytes: number }> {
  const file = await resolveFile(
    path,
    'Check the path of the image; relative paths start at the working folder.',
  );
  const { size } = await stat(file);
  if (size <= MAX_IMAGE_BYTES) return { file, bytes: size };
  const limit = `at most ${MAX_IMAGE_BYTES >> 20} MiB`;
  throw invalidImage(path, `a file of ${size} bytes (${limit} are read)`, 'Scale the image down.');
}

/** {@link readImageHeader} of the content of a file. */
export const imageHeader = async (bytes: Uint8Array, name: string): Promise<ImageHeader> => ({
  ...(await headerOf(bytes, fileKind(bytes), name)),
  bytes: bytes.byteLength,
});

async function headerOf(
  input: string | Uint8Array,
  kind: FileKind,
  name: string,
): Promise<Omit<ImageHeader, 'bytes'>> {
  const format = requireReadable(kind, name);
  const found = await sharp(input, { limitInputPixels: false })
    .metadata()
    .catch((error: unknown) => {
      throw damagedImage(name, kind, error);
    });
  if (found.format !== READABLE[format]) throw damagedImage(name, kind);
  requirePixels(found, name);
  return {
    path: name,
    format,
    height: found.autoOrient.height,
    width: found.autoOrient.width,
    depth: found.depth,
    channels: found.channels,
    hasAlpha: found.hasAlpha,
    frames: found.pages ?? 1,
    isTurned: (found.orientation ?? 1) > 1,
  };
}

/** What a decoder says about a file is for its authors: it goes into the cause. */
export const damagedImage = (name: string, kind: FileKind, cause?: unknown): SpatialError =>
  invalidImage(name, `${kind.name} that is damaged or incomplete`, HINT, cause);

function requirePixels({ width, height }: Metadata, name: string): void {
  if (width * height <= MAX_IMAGE_PIXELS) return;
  const found = `one of ${width}×${height} pixels (at most ${MAX_IMAGE_PIXELS / 1e6} million are read)`;
  throw invalidImage(name, found, 'Scale the image down or cut it.');
}
