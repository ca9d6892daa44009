/** Opening the tokenizer of a checkpoint folder with little left behind. */
import path from 'node:path';
import { Tokenizer } from '@huggingface/tokenizers';
import { SpatialError } from '../errors.js';
import { readBytes } from '../files.js';
import { type JsonObject, parseJsonText } from '../json.js';
import { memberRange, parsePieces, textWithout } from './json-pieces.js';
import { readTokenizerFiles, readTokenizerSettings } from './tokenizer-files.js';

type Vocabulary = Readonly<Record<string, number>>;
/** Two tokens with a space between, or in a list. */
type Merge = string | readonly [string, string];

/** The library's model of byte pairs, which its types leave out. */
type PairModel = NonNullable<Tokenizer['model']> & { readonly bpe_ranks: Map<string, number> };

/** A tokenizer of byte pairs: what has hundreds of thousands of items comes in pieces. */
interface Parts {
  /** Content of tokenizer.json with neither vocabulary nor merges. */
  readonly json: JsonObject;
  readonly vocabulary: Iterable<Vocabulary>;
  readonly merges: Iterable<readonly Merge[]>;
}

/**
 * Opens tokenizer.json and tokenizer_config.json, or what stands for them; see {@link readTokenizerFiles}.
 * @throws SpatialError FILE_MISSING | FILE_INVALID.
 */
export async function openTokenizer(folder: string): Promise<Tokenizer> {
  const inPieces = await openInPieces(folder);
  if (inPieces !== undefined) return inPieces;
  const { json, settings } = await readTokenizerFiles(folder);
  return makeTokenizer(folder, json, settings);
}

/**
 * A tokenizer.json of byte pairs, read in pieces: 150,000 tokens then take 50 MB of the heap, and 120 MB when the file is read as
 * a whole.
 * @returns undefined for another kind of tokenizer, and for files that are missing or not valid: whoever reads them as a whole
 *   says why.
 */
export async function openInPieces(folder: string): Promise<Tokenizer | undefined> {
  try {
    const parts = cutParts(await readBytes(path.join(folder, 'tokenizer.json')));
    if (parts === undefined) return undefined;
    const tokenizer = new Tokenizer(parts.json, await readTokenizerSettings(folder));
    fill(tokenizer.model as PairModel, parts);
    return tokenizer;
  } catch {
    return undefined;
  }
}

function cutParts(bytes: Uint8Array): Parts | undefined {
  const model = memberRange(bytes, 0, 'model');
  const vocabulary = model && memberRange(bytes, model.start, 'vocab');
  const merges = model && memberRange(bytes, model.start, 'merges');
  if (vocabulary === undefined || merges === undefined) return undefined;
  const json = parseJsonText(textWithout(bytes, [vocabulary, merges])) as JsonObject;
  const settings: JsonObject = { ...(json['model'] as JsonObject), vocab: {}, merges: [] };
  if (settings['type'] !== 'BPE') return undefined;
  return {
    json: { ...json, model: settings },
    vocabulary: parsePieces(bytes, vocabulary) as Iterable<Vocabulary>,
    merges: parsePieces(bytes, merges) as Iterable<readonly Merge[]>,
  };
}

/** Fills the tables of the library as its constructor does. Added tokens are there already; they win. */
function fill(model: PairModel, { vocabulary, merges }: Parts): void {
  const { tokens_to_ids: ids, vocab: tokens, bpe_ranks: ranks } = model;
  for (const piece of vocabulary) {
    for (const [token, id] of Object.entries(piece)) {
      if (!ids.has(token)) ids.set(token, id);
      tokens[id] ??= token;
    }
  }
  const unknown = ids.get(model.unk_token ?? '');
  if (unknown !== undefined) model.unk_token_id = unknown;
  for (const piece of merges) {
    for (const merge of piece) {
      const pair = typeof merge === 'string' ? merge.split(' ', 2) : merge;
      ranks.set(JSON.stringify(pair), ranks.size);
    }
  }
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
