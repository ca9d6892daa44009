import sharp from 'sharp';
import { SpatialError } from '../errors.js';
import { writeFileAtomic } from '../files.js';

export interface PngLayout {
  readonly width: number;
  readonly height: number;
  /** 1 greyscale, 3 RGB, 4 RGBA. */
  readonly channels: 1 | 3 | 4;
}

/**
 * PNG bytes of pixels, lossless.
 * @param data (height, width, channels) row-major; `Uint16Array` makes a 16-bit PNG.
 * @throws SpatialError SHAPE_MISMATCH when `data` does not fill the layout.
 */
export const encodePng = async (
  data: Uint8Array | Uint16Array,
  { width, height, channels }: PngLayout,
): Promise<Uint8Array> => {
  if (data.length !== width * height * channels)
    throw new SpatialError({
      code: 'SHAPE_MISMATCH',
      message: `PNG of (${height}, ${width}, ${channels}): expected ${width * height * channels} values, found ${data.length}`,
      hint: 'Give (height, width, channels) values in row-major order.',
    });
  const is16 = data instanceof Uint16Array;
  const space = channels === 1 ? (is16 ? 'grey16' : 'b-w') : is16 ? 'rgb16' : 'srgb';
  // Raw greyscale would otherwise be widened to three channels, and 16 bits narrowed to 8.
  return sharp(data, { raw: { width, height, channels } }).toColourspace(space).png().toBuffer();
};

/** Writes {@link encodePng} atomically. @throws as encodePng. */
export const writePng = async (
  path: string,
  data: Uint8Array | Uint16Array,
  layout: PngLayout,
): Promise<void> => writeFileAtomic(path, await encodePng(data, layout));
