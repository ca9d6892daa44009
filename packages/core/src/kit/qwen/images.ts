/** Images in cells of patches, as Qwen's image processors make them. */

import { resizeBicubic } from '../../images/index.js';
import type { JsonObject } from '../../json.js';
import type { RgbImage, ViewInputV1, ViewLayoutV1 } from '../../spec.js';
import { configFields } from '../config-fields.js';
import { cutPatches, fitToCells, type PixelStatistics } from '../image-processor.js';
import { readPixelStatistics } from '../image-processor-file.js';

/** What the vision tower takes. */
export interface CellPatches {
  readonly patchSize: number;
  /** Images that one patch spans; a still image is repeated. */
  readonly frames: number;
  /** Side of a cell in patches. */
  readonly mergeSize: number;
}

export interface CellImageConfig extends CellPatches, PixelStatistics {
  readonly minPixels: number;
  readonly maxPixels: number;
}

/** Patch grid of one view before merging. Its key is all that the layout of the patches depends on. */
export interface CellLayout extends ViewLayoutV1 {
  readonly rows: number;
  readonly columns: number;
}

/** A view as patches, cell by cell. */
export interface CellView extends ViewInputV1 {
  readonly layout: CellLayout;
}

/**
 * Reads preprocessor_config.json, with `min_pixels`/`max_pixels` or the newer `size` limits.
 * @param patches of the tower, which the file has to agree with.
 * @param overrides pixel limits that win over the file.
 * @throws SpatialError CONFIG_INVALID for another resampling or normalisation than the processor's, and other patches.
 */
export function readCellImages(
  config: JsonObject,
  where: string,
  patches: CellPatches,
  overrides: { readonly minPixels?: number; readonly maxPixels?: number } = {},
): CellImageConfig {
  const fields = configFields(config, where);
  fields.require('patch_size', [patches.patchSize]);
  fields.require('temporal_patch_size', [patches.frames]);
  fields.require('merge_size', [patches.mergeSize]);
  const size = fields.child('size');
  const shortest = size?.has('shortest_edge') ? size.positive('shortest_edge') : 56 * 56;
  const longest = size?.has('longest_edge') ? size.positive('longest_edge') : 28 * 28 * 1280;
  return {
    ...patches,
    minPixels: overrides.minPixels ?? fields.positive('min_pixels', shortest),
    maxPixels: overrides.maxPixels ?? fields.positive('max_pixels', longest),
    ...readPixelStatistics(fields),
  };
}

/**
 * Size that an image is resized to: sides divisible by the merged cell, area within the limits.
 * @param name of the image, for messages.
 * @returns [height, width] in pixels.
 * @throws SpatialError IMAGE_INVALID when one side is over 200 times the other.
 */
export const smartResize = (
  height: number,
  width: number,
  config: Pick<CellImageConfig, 'patchSize' | 'mergeSize' | 'minPixels' | 'maxPixels'>,
  name?: string,
): [number, number] =>
  fitToCells(height, width, { ...config, cell: config.patchSize * config.mergeSize }, name);

/**
 * Pixel values of one view: smart resize (Pillow's bicubic), (x / 255 − mean) / std, patches cell by cell.
 * @returns (P, 3·frames·patch²) float32 with channels slowest, and the patch grid.
 */
export function makeCellView(image: RgbImage, config: CellImageConfig): CellView {
  const [height, width] = smartResize(image.height, image.width, config, image.path);
  const resized = resizeBicubic(image, width, height);
  const rows = height / config.patchSize;
  const columns = width / config.patchSize;
  return {
    pixelValues: cutPatches(resized, { ...config, cellSide: config.mergeSize }),
    pixelShape: [rows * columns, 3 * config.frames * config.patchSize ** 2],
    layout: { key: `${rows}x${columns}`, rows, columns },
  };
}
