/** Reading the files of a tokenizer. */
import path from 'node:path';
import { readCheckpointJson } from '../checkpoint-folder.js';
import { SpatialError } from '../errors.js';
import { readTextIfThere } from '../files.js';
import type { JsonObject } from '../json.js';
import { readOptionalJson } from './optional-file.js';
import {
  type AddedToken,
  addedTokens,
  idsByToken,
  qwenTokenizerJson,
  specialToken,
} from './tokenizer-json.js';

/** A tokenizer as its two files say it. */
export interface TokenizerFiles {
  /** Content of tokenizer.json. */
  readonly json: JsonObject;
  /** Content of tokenizer_config.json. */
  readonly settings: JsonObject;
}

/**
 * Reads tokenizer_config.json and tokenizer.json; where the latter is missing, it is put together from the files of a Qwen2
 * tokenizer: vocab.json, merges.txt, and the added tokens of tokenizer_config.json or added_tokens.json.
 * @throws SpatialError FILE_MISSING | FILE_INVALID.
 */
export async function readTokenizerFiles(folder: string): Promise<TokenizerFiles> {
  const settings = await readTokenizerSettings(folder);
  const whole = await readOptionalJson(folder, 'tokenizer.json');
  return { json: whole ?? (await assemble(folder, settings)), settings };
}

/** Content of tokenizer_config.json. @throws SpatialError FILE_MISSING | FILE_INVALID. */
export const readTokenizerSettings = (folder: string): Promise<JsonObject> =>
  readCheckpointJson(folder, 'tokenizer_config.json');

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

// ---------------------------------------------------------------------------------------------- vocab.json, merges.txt

async function assemble(folder: string, settings: JsonObject): Promise<JsonObject> {
  const vocab = await readOptionalJson(folder, 'vocab.json');
  const merges = await readTextIfThere(path.join(folder, 'merges.txt'));
  const tokenizer = settings['tokenizer_class'];
  const isQwen = typeof tokenizer === 'string' && /^Qwen2(_5)?Tokenizer(Fast)?$/.test(tokenizer);
  if (vocab === undefined || merges === undefined || !isQwen) {
    throw new SpatialError({
      code: 'FILE_MISSING',
      message: `${path.join(folder, 'tokenizer.json')}: not found, nor the vocab.json and merges.txt of a Qwen2 tokenizer (tokenizer_class ${JSON.stringify(tokenizer ?? null)})`,
      hint: 'Save the tokenizer with `transformers`, which writes tokenizer.json, or copy that file from the published checkpoint.',
    });
  }
  const ranked = vocab as Readonly<Record<string, number>>;
  const added = await readAddedTokens(folder, settings);
  return qwenTokenizerJson(ranked, mergeLines(merges), added);
}

/** Pairs of merges.txt: one a line, behind a line that says the version. */
function mergeLines(text: string): readonly string[] {
  const lines = text.split('\n').map((line) => line.replace(/\r$/, ''));
  const first = lines[0]?.startsWith('#version:') ? 1 : 0;
  return lines.slice(first).filter((line) => line !== '');
}

/** By id: those of tokenizer_config.json, where it has none those of added_tokens.json. */
async function readAddedTokens(
  folder: string,
  settings: JsonObject,
): Promise<readonly AddedToken[]> {
  const decoder = settings['added_tokens_decoder'] as Readonly<Record<string, JsonObject>>;
  if (decoder !== undefined) {
    const tokens = Object.entries(decoder).map(([id, token]) => ({
      ...specialToken('', Number(id)),
      ...token,
    }));
    return tokens.sort((a, b) => a.id - b.id);
  }
  const ids = ((await readOptionalJson(folder, 'added_tokens.json')) ?? {}) as Readonly<
    Record<string, number>
  >;
  const special = specialNames(settings);
  return Object.entries(ids)
    .map(([token, id]) => ({ ...specialToken(token, id), special: special.has(token) }))
    .sort((a, b) => a.id - b.id);
}

/** Tokens that tokenizer_config.json names as special ones. */
function specialNames(settings: JsonObject): ReadonlySet<unknown> {
  const named = ['bos_token', 'eos_token', 'pad_token', 'unk_token'].map((key) => settings[key]);
  const more = settings['additional_special_tokens'];
  return new Set([...named, ...(Array.isArray(more) ? more : [])]);
}
