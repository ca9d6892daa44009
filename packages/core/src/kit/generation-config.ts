import { isJsonObject, type JsonObject } from '../json.js';
import { readOptionalJson } from './optional-file.js';

/**
 * Ids of tokens that end an answer: `eos_token_id` of generation_config.json, else of config.json or its `text_config`.
 * @param config content of config.json. @returns none where no file names one.
 * @throws SpatialError FILE_INVALID.
 */
export async function readEndIds(folder: string, config: JsonObject): Promise<readonly number[]> {
  const generation = await readOptionalJson(folder, 'generation_config.json');
  const nested = config['text_config'];
  const files = [generation ?? {}, config, isJsonObject(nested) ? nested : {}];
  const found = files.map((file) => file['eos_token_id']).find((id) => (id ?? null) !== null) ?? [];
  const ids: readonly unknown[] = Array.isArray(found) ? found : [found];
  return ids.filter((id): id is number => Number.isInteger(id));
}
