import {
  CLIP_STATISTICS,
  configFields,
  cutPatches,
  fitToCells,
  type JsonObject,
  type PixelStatistics,
  resizeBicubic,
} from '@spatialsv/core/kit';
import type { RgbImage, ViewInputV1, ViewLayoutV1 } from '@spatialsv/core/spec';

export interface ImageProcessorConfig extends PixelStatistics {
  readonly patchSize: number;
  readonly temporalPatchSize: number;
  readonly mergeSize: number;
  readonly minPixels: number;
  readonly maxPixels: number;
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
    mean: fields.numbers('image_mean', CLIP_STATISTICS.mean),
    std: fields.numbers('image_std', CLIP_STATISTICS.std),
  };
}

/**
 * Size that an image is resized to: sides divisible by the merged cell, area within the limits.
 * @returns [height, width] in pixels.
 * @throws SpatialError IMAGE_INVALID when one side is over 200 times the other.
 */
export const smartResize = (
  height: number,
  width: number,
  config: Pick<ImageProcessorConfig, 'patchSize' | 'mergeSize' | 'minPixels' | 'maxPixels'>,
): [number, number] =>
  fitToCells(height, width, { ...config, cell: config.patchSize * config.mergeSize });

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
    pixelValues: cutPatches(resized, {
      ...config,
      cellSide: config.mergeSize,
      frames: config.temporalPatchSize,
    }),
    pixelShape: [rows * columns, values],
    layout: { key: `${rows}x${columns}`, rows, columns },
  };
}
