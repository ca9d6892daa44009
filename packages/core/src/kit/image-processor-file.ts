import path from 'node:path';
import { readCheckpointJson } from '../checkpoint-folder.js';
import { isJsonObject, type JsonObject } from '../json.js';
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
