/** Text side of a checkpoint: tokenizer and chat template. */
import path from 'node:path';
import type { Tokenizer } from '@huggingface/tokenizers';
import { readCheckpointJson } from '../checkpoint-folder.js';
import { placeholderError, requireNoPlaceholder } from '../data/placeholders.js';
import { SpatialError } from '../errors.js';
import { readTextIfThere } from '../files.js';
import { isJsonObject, type JsonObject } from '../json.js';
import type { ConversationV1 } from '../spec.js';
import { openChatTemplate } from './chat-template.js';
import { openTokenizer } from './open-tokenizer.js';

/** One message of a chat, as chat templates take it. */
export interface ChatMessage {
  readonly role: 'system' | 'user' | 'assistant';
  readonly content: string | readonly ChatPart[];
}

/** A text, or the place of an image or video. */
export type ChatPart =
  | { readonly type: 'text'; readonly text: string }
  | { readonly type: 'image' | 'video' };

/** Between texts and ids. */
export interface TextCodec {
  /**
   * Ids of a text, nothing added. A special token that is written out is that token wherever it stands, as in
   * `transformers`; what is no character (half of a surrogate pair) counts as U+FFFD.
   */
  encode(text: string): readonly number[];
  /** Text of ids, special tokens and unused vocabulary rows left out. */
  decode(ids: readonly number[]): string;
}

export interface TextProcessor extends TextCodec {
  /**
   * The prompt of a chat by the checkpoint's own template, up to the place where the assistant speaks.
   * @throws SpatialError FILE_INVALID when the template fails or does not keep within its budget.
   */
  render(messages: readonly ChatMessage[]): Promise<string>;
}

/**
 * Opens tokenizer and chat template of a checkpoint folder: tokenizer_config.json with tokenizer.json, or with the vocab.json
 * and merges.txt of a Qwen2 tokenizer.
 * @param tokens ids that the configuration gives to tokens, by token.
 * @throws SpatialError FILE_MISSING | FILE_INVALID; CONFIG_INVALID when a token has another id.
 */
export async function openTextProcessor(
  folder: string,
  tokens: Readonly<Record<string, number>>,
): Promise<TextProcessor> {
  const codec = await openTextCodec(folder, tokens);
  const settings = await readCheckpointJson(folder, 'tokenizer_config.json');
  const template = await findTemplate(folder, settings);
  return { ...codec, render: await openChatTemplate(template.source, template.file) };
}

/**
 * The same without a chat template, for checkpoints whose prompt their own code writes out.
 * @throws SpatialError FILE_MISSING | FILE_INVALID; CONFIG_INVALID when a token has another id.
 */
export async function openTextCodec(
  folder: string,
  tokens: Readonly<Record<string, number>>,
): Promise<TextCodec> {
  const tokenizer = await openTokenizer(folder);
  checkTokenIds(folder, tokenizer, tokens);
  return {
    encode: (text) => tokenizer.encode(wellFormed(text), { add_special_tokens: false }).ids,
    decode: (ids) => decodeIds(tokenizer, ids),
  };
}

/** Text with U+FFFD in place of halves of surrogate pairs, which have no bytes. */
const wellFormed = (text: string): string => text.replace(/\p{Cs}/gu, '\uFFFD');

function decodeIds(tokenizer: Tokenizer, ids: readonly number[]): string {
  const known = ids.filter((id) => tokenizer.id_to_token(id) !== undefined);
  if (known.length === 0) return ''; // The library refuses empty lists.
  return tokenizer.decode(known, {
    skip_special_tokens: true,
    clean_up_tokenization_spaces: false,
  });
}

function checkTokenIds(
  folder: string,
  tokenizer: Tokenizer,
  tokens: Readonly<Record<string, number>>,
): void {
  for (const [token, id] of Object.entries(tokens)) {
    const found = tokenizer.token_to_id(token);
    if (found === id) continue;
    throw new SpatialError({
      code: 'CONFIG_INVALID',
      message: `${path.join(folder, 'tokenizer.json')}: expected ${token} to have id ${id} as in config.json, found ${found ?? 'no such token'}`,
      hint: 'Take tokenizer files and config.json from the same checkpoint.',
    });
  }
}

// ---------------------------------------------------------------------------------------------- chat template

interface FoundTemplate {
  readonly source: string;
  readonly file: string;
}

/** Template of a folder: chat_template.json (legacy, wins), chat_template.jinja, then tokenizer_config.json. */
async function findTemplate(folder: string, settings: JsonObject): Promise<FoundTemplate> {
  const legacy = path.join(folder, 'chat_template.json');
  if ((await readTextIfThere(legacy)) !== undefined) {
    const parsed = await readCheckpointJson(folder, 'chat_template.json');
    return { source: requireTemplate(parsed['chat_template'], legacy), file: legacy };
  }
  const jinja = path.join(folder, 'chat_template.jinja');
  const text = await readTextIfThere(jinja);
  if (text !== undefined) return { source: text, file: jinja };
  const file = path.join(folder, 'tokenizer_config.json');
  return { source: requireTemplate(settings['chat_template'], file), file };
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

/** Texts of a conversation. */
type Texts = Partial<Pick<ConversationV1, 'question' | 'system' | 'answer'>>;

/**
 * Refuses texts that contain a placeholder, which would be taken for a view, and marks of other families and toolkits, of which a
 * model would be given the letters.
 * @param placeholders those of this family.
 * @throws SpatialError DATA_INVALID.
 */
export function refusePlaceholders(
  { question, system, answer }: Texts,
  placeholders: readonly string[],
): void {
  for (const [what, text] of Object.entries({ question, system, answer })) {
    if (text === undefined) continue;
    const found = placeholders.find((placeholder) => text.includes(placeholder));
    if (found !== undefined) throw placeholderError(what, found);
    requireNoPlaceholder(what, text);
  }
}

/** @param found places for views in a rendered chat. @throws SpatialError FILE_INVALID where they are not `expected`. */
export function requirePlaces(found: number, expected: number): void {
  if (found === expected) return;
  throw new SpatialError({
    code: 'FILE_INVALID',
    message: `chat template: expected ${expected} places for views, found ${found}`,
    hint: 'Restore the chat template published with the checkpoint.',
  });
}
