import { readCheckpointJson } from '../checkpoint-folder.js';
import { SpatialError } from '../errors.js';
import type { JsonObject } from '../json.js';

/** A JSON object file of a checkpoint folder that need not be there. @throws SpatialError FILE_INVALID. */
export async function readOptionalJson(
  folder: string,
  name: string,
): Promise<JsonObject | undefined> {
  return readCheckpointJson(folder, name).catch((error: unknown) => {
    if (SpatialError.isInstance(error) && error.code === 'FILE_MISSING') return undefined;
    throw error;
  });
}
