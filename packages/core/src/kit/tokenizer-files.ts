/** Reading the files of a tokenizer. */
import { readCheckpointJson } from '../checkpoint-folder.js';
import type { JsonObject } from '../json.js';
import { addedTokens, idsByToken, specialToken } from './tokenizer-json.js';

/** A tokenizer as its two files say it. */
export interface TokenizerFiles {
  /** Content of tokenizer.json. */
  readonly json: JsonObject;
  /** Content of tokenizer_config.json. */
  readonly settings: JsonObject;
}

/** @throws SpatialError FILE_MISSING | FILE_INVALID. */
export async function readTokenizerFiles(folder: string): Promise<TokenizerFiles> {
  const settings = await readCheckpointJson(folder, 'tokenizer_config.json');
  return { json: await readCheckpointJson(folder, 'tokenizer.json'), settings };
}

/** Adds special tokens that a tokenizer lacks, with the next ids in their order. */
export function addTokens(
  { json, settings }: TokenizerFiles,
  tokens: readonly string[],
): TokenizerFiles {
  const ids = idsByToken(json);
  const next = 1 + [...ids.values()].reduce((most, id) => Math.max(most, id), -1);
  const added = tokens
    .filter((token) => !ids.has(token))
    .map((token, i) => specialToken(token, next + i));
  if (added.length === 0) return { json, settings };
  const known = (settings['added_tokens_decoder'] ?? {}) as JsonObject;
  const more = added.map(({ id, ...token }) => [String(id), token] as const);
  return {
    json: { ...json, added_tokens: [...addedTokens(json), ...added] },
    settings: { ...settings, added_tokens_decoder: { ...known, ...Object.fromEntries(more) } },
  };
}
