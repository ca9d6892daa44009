import {
  type RgbImage,
  resizeBicubic,
  roundHalfEven,
  SpatialError,
  type ViewInputV1,
  type ViewLayoutV1,
} from '@spatialsv/core';
import { configFields, type JsonObject } from './config-fields.js';

export interface ImageProcessorConfig {
  readonly patchSize: number;
  readonly temporalPatchSize: number;
  readonly mergeSize: number;
  readonly minPixels: number;
  readonly maxPixels: number;
  readonly mean: readonly number[];
  readonly std: readonly number[];
}

/** Patch grid of one view before merging. Its key is all that the layout of the patches depends on. */
export interface PatchLayout extends ViewLayoutV1 {
  readonly rows: number;
  readonly columns: number;
}

/** A view of this family. */
export interface PatchedView extends ViewInputV1 {
  readonly layout: PatchLayout;
}

const CLIP_MEAN = [0.48145466, 0.4578275, 0.40821073];
const CLIP_STD = [0.26862954, 0.26130258, 0.27577711];
const MAX_ASPECT_RATIO = 200;

/**
 * Reads preprocessor_config.json, with `min_pixels`/`max_pixels` or the newer `size` limits.
 * @param overrides pixel limits that win over the file.
 * @throws SpatialError CONFIG_INVALID for another resampling or normalisation than the family's.
 */
export function parseImageProcessorConfig(
  config: JsonObject,
  where: string,
  overrides: { readonly minPixels?: number; readonly maxPixels?: number } = {},
): ImageProcessorConfig {
  const fields = configFields(config, where);
  fields.require('resample', [3]);
  for (const step of ['do_resize', 'do_rescale', 'do_normalize']) fields.require(step, [true]);
  if (fields.has('rescale_factor'))
    fields.require('rescale_factor', [1 / 255, 0.00392156862745098]);
  const size = fields.child('size');
  const shortest = size?.has('shortest_edge') ? size.positive('shortest_edge') : 56 * 56;
  const longest = size?.has('longest_edge') ? size.positive('longest_edge') : 28 * 28 * 1280;
  return {
    patchSize: fields.positive('patch_size', 14),
    temporalPatchSize: fields.positive('temporal_patch_size', 2),
    mergeSize: fields.positive('merge_size', 2),
    minPixels: overrides.minPixels ?? fields.positive('min_pixels', shortest),
    maxPixels: overrides.maxPixels ?? fields.positive('max_pixels', longest),
    mean: fields.numbers('image_mean', CLIP_MEAN),
    std: fields.numbers('image_std', CLIP_STD),
  };
}

/**
 * Size that an image is resized to: sides divisible by the merged cell, area within the limits, aspect ratio nearly
 * kept (each axis is scaled by itself).
 * @returns [height, width] in pixels.
 * @throws SpatialError IMAGE_INVALID when one side is over 200 times the other.
 */
export function smartResize(
  height: number,
  width: number,
  config: Pick<ImageProcessorConfig, 'patchSize' | 'mergeSize' | 'minPixels' | 'maxPixels'>,
): [number, number] {
  const factor = config.patchSize * config.mergeSize;
  const { minPixels, maxPixels } = config;
  if (Math.max(height, width) / Math.min(height, width) > MAX_ASPECT_RATIO) {
    throw new SpatialError({
      code: 'IMAGE_INVALID',
      message: `image of ${width}×${height} pixels: expected sides within a factor of ${MAX_ASPECT_RATIO}`,
      hint: 'Crop the image before passing it.',
    });
  }
  const rounded = [height, width].map((side) => roundHalfEven(side / factor) * factor);
  const area = rounded[0]! * rounded[1]!;
  if (area > maxPixels) {
    const beta = Math.sqrt((height * width) / maxPixels);
    const shrink = (side: number) => Math.max(factor, Math.floor(side / beta / factor) * factor);
    return [shrink(height), shrink(width)];
  }
  if (area < minPixels) {
    const beta = Math.sqrt(minPixels / (height * width));
    const grow = (side: number) => Math.ceil((side * beta) / factor) * factor;
    return [grow(height), grow(width)];
  }
  return [rounded[0]!, rounded[1]!];
}

/**
 * Pixel values of one view: smart resize (Pillow's bicubic), (x / 255 − mean) / std, patches cell by cell.
 * @returns (P, 3·T·patch²) float32 with channels slowest, and the patch grid.
 */
export function processImage(image: RgbImage, config: ImageProcessorConfig): PatchedView {
  const [height, width] = smartResize(image.height, image.width, config);
  const resized = resizeBicubic(image, width, height);
  const rows = height / config.patchSize;
  const columns = width / config.patchSize;
  const values = 3 * config.temporalPatchSize * config.patchSize ** 2;
  return {
    pixelValues: patchify(resized, config),
    pixelShape: [rows * columns, values],
    layout: { key: `${rows}x${columns}`, rows, columns },
  };
}

/** Normalised value of each of the 256 grey levels, by channel. */
function normaliseTable(config: ImageProcessorConfig): readonly Float32Array[] {
  return [0, 1, 2].map((channel) =>
    Float32Array.from({ length: 256 }, (_, level) => {
      return (level / 255 - config.mean[channel]!) / config.std[channel]!;
    }),
  );
}

/**
 * Patches of an image whose sides are whole cells: cell rows, cell columns, the patches of a cell, then channel, frame
 * (a still image is repeated), pixel row, pixel column.
 */
function patchify(image: RgbImage, config: ImageProcessorConfig): Float32Array {
  const { patchSize, mergeSize, temporalPatchSize } = config;
  const cell = patchSize * mergeSize;
  const plane = patchSize * patchSize;
  const output = new Float32Array(3 * temporalPatchSize * image.height * image.width);
  const table = normaliseTable(config);
  let offset = 0;
  for (let top = 0; top < image.height; top += cell) {
    for (let left = 0; left < image.width; left += cell) {
      for (let patch = 0; patch < mergeSize * mergeSize; patch++) {
        const y = top + Math.floor(patch / mergeSize) * patchSize;
        const x = left + (patch % mergeSize) * patchSize;
        for (let channel = 0; channel < 3; channel++) {
          writePlane(image, { x, y, channel, side: patchSize }, table[channel]!, output, offset);
          for (let frame = 1; frame < temporalPatchSize; frame++) {
            output.copyWithin(offset + frame * plane, offset, offset + plane);
          }
          offset += temporalPatchSize * plane;
        }
      }
    }
  }
  return output;
}

function writePlane(
  image: RgbImage,
  at: { readonly x: number; readonly y: number; readonly channel: number; readonly side: number },
  table: Float32Array,
  output: Float32Array,
  offset: number,
): void {
  for (let row = 0; row < at.side; row++) {
    let source = ((at.y + row) * image.width + at.x) * 3 + at.channel;
    for (let column = 0; column < at.side; column++, source += 3) {
      output[offset + row * at.side + column] = table[image.data[source]!]!;
    }
  }
}
