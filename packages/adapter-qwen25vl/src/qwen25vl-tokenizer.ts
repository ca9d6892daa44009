import { readFile } from 'node:fs/promises';
import path from 'node:path';
import { Tokenizer } from '@huggingface/tokenizers';
import { readCheckpointJson, SpatialError } from '@spatialsv/core';
import { isJsonObject, type JsonObject } from './config-fields.js';
import type { Qwen25VlConfig } from './qwen25vl-config.js';
import { IMAGE_PAD, type PromptParts, templateRenderer, VIDEO_PAD } from './qwen25vl-prompt.js';

/** Text side of a checkpoint. */
export interface TextProcessor {
  /** Ids of a text whose special tokens are written out, nothing added. */
  encode(text: string): readonly number[];
  /** Text of ids, special tokens and unused vocabulary rows left out. */
  decode(ids: readonly number[]): string;
  /** The prompt of one question by the checkpoint's own template. */
  render(parts: PromptParts): string;
}

/**
 * Opens tokenizer.json, tokenizer_config.json and the chat template of a checkpoint folder.
 * @throws SpatialError FILE_MISSING | FILE_INVALID; CONFIG_INVALID when token ids differ from config.json.
 */
export async function openTextProcessor(
  folder: string,
  config: Qwen25VlConfig,
): Promise<TextProcessor> {
  const settings = await readCheckpointJson(folder, 'tokenizer_config.json');
  const tokenizer = makeTokenizer(
    folder,
    await readCheckpointJson(folder, 'tokenizer.json'),
    settings,
  );
  checkTokenIds(folder, tokenizer, config);
  const template = await findTemplate(folder, settings);
  return {
    encode: (text) => tokenizer.encode(text, { add_special_tokens: false }).ids,
    decode: (ids) => decodeIds(tokenizer, ids),
    render: templateRenderer(template.source, template.file),
  };
}

function decodeIds(tokenizer: Tokenizer, ids: readonly number[]): string {
  const known = ids.filter((id) => tokenizer.id_to_token(id) !== undefined);
  if (known.length === 0) return ''; // The library refuses empty lists.
  return tokenizer.decode(known, {
    skip_special_tokens: true,
    clean_up_tokenization_spaces: false,
  });
}

function makeTokenizer(folder: string, tokenizer: JsonObject, settings: JsonObject): Tokenizer {
  try {
    return new Tokenizer(tokenizer, settings);
  } catch (cause) {
    throw new SpatialError({
      code: 'FILE_INVALID',
      message: `${path.join(folder, 'tokenizer.json')}: not a usable tokenizer (${(cause as Error).message})`,
      hint: 'Restore tokenizer.json and tokenizer_config.json published with the checkpoint.',
      cause,
    });
  }
}

function checkTokenIds(folder: string, tokenizer: Tokenizer, config: Qwen25VlConfig): void {
  const expected = {
    [IMAGE_PAD]: config.imageTokenId,
    [VIDEO_PAD]: config.videoTokenId,
    '<|vision_start|>': config.visionStartTokenId,
    '<|vision_end|>': config.visionEndTokenId,
  };
  for (const [token, id] of Object.entries(expected)) {
    const found = tokenizer.token_to_id(token);
    if (found === id) continue;
    throw new SpatialError({
      code: 'CONFIG_INVALID',
      message: `${path.join(folder, 'tokenizer.json')}: expected ${token} to have id ${id} as in config.json, found ${found ?? 'no such token'}`,
      hint: 'Take tokenizer files and config.json from the same checkpoint.',
    });
  }
}

interface FoundTemplate {
  readonly source: string;
  readonly file: string;
}

/** Template of a folder: chat_template.json (legacy, wins), chat_template.jinja, then tokenizer_config.json. */
async function findTemplate(folder: string, settings: JsonObject): Promise<FoundTemplate> {
  const legacy = path.join(folder, 'chat_template.json');
  const legacyText = await readOptional(legacy);
  if (legacyText !== undefined) {
    const parsed = await readCheckpointJson(folder, 'chat_template.json');
    return { source: requireTemplate(parsed['chat_template'], legacy), file: legacy };
  }
  const jinja = path.join(folder, 'chat_template.jinja');
  const text = await readOptional(jinja);
  if (text !== undefined) return { source: text, file: jinja };
  const file = path.join(folder, 'tokenizer_config.json');
  return { source: requireTemplate(settings['chat_template'], file), file };
}

async function readOptional(file: string): Promise<string | undefined> {
  try {
    return await readFile(file, 'utf8');
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw new SpatialError({
      code: 'FILE_INVALID',
      message: `${file}: cannot be read (${(cause as Error).message})`,
      hint: 'Check the permissions of the file.',
      cause,
    });
  }
}

/** A template is a string, or a list of named ones of which `default` is meant. */
function requireTemplate(value: unknown, file: string): string {
  const named = Array.isArray(value)
    ? value.filter(isJsonObject).find((entry) => entry['name'] === 'default')?.['template']
    : value;
  if (typeof named === 'string') return named;
  throw new SpatialError({
    code: 'FILE_MISSING',
    message: `${file}: expected a chat template, found none here, in chat_template.json or in chat_template.jinja`,
    hint: 'Copy chat_template.json or chat_template.jinja from the published checkpoint.',
  });
}
