import path from 'node:path';
import { readCheckpointJson } from '../checkpoint-folder.js';
import { isJsonObject, type JsonObject } from '../json.js';
import type { ConfigFields } from './config-fields.js';
import { CLIP_STATISTICS, type PixelStatistics } from './image-processor.js';
import { readOptionalJson } from './optional-file.js';

/** Settings of an image processor, and where they are for messages. */
export interface ImageProcessorFile {
  readonly config: JsonObject;
  readonly where: string;
}

/**
 * Settings of the image processor of a checkpoint: `image_processor` of processor_config.json, where transformers 5 writes
 * them, else preprocessor_config.json. The first wins where both are there, as in transformers.
 * @throws SpatialError FILE_MISSING | FILE_INVALID.
 */
export async function readImageProcessor(folder: string): Promise<ImageProcessorFile> {
  const processor = await readOptionalJson(folder, 'processor_config.json');
  const nested = processor?.['image_processor'];
  if (isJsonObject(nested))
    return {
      config: nested,
      where: `${path.join(folder, 'processor_config.json')}.image_processor`,
    };
  const name = 'preprocessor_config.json';
  return { config: await readCheckpointJson(folder, name), where: path.join(folder, name) };
}

/**
 * Statistics of an image processor that resizes by Pillow's bicubic kernel, scales to 0 … 1 and normalises.
 * @throws SpatialError CONFIG_INVALID for one that does anything else.
 */
export function readPixelStatistics(fields: ConfigFields): PixelStatistics {
  fields.require('resample', [3]);
  for (const step of ['do_resize', 'do_rescale', 'do_normalize']) fields.require(step, [true]);
  fields.require('rescale_factor', [1 / 255, 0.00392156862745098]);
  return {
    mean: fields.numbers('image_mean', CLIP_STATISTICS.mean),
    std: fields.numbers('image_std', CLIP_STATISTICS.std),
  };
}
