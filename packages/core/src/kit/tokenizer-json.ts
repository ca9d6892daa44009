/** Content of tokenizer.json: the structures of Qwen2's and Llama's tokenizers, and tokens added to any. */
import type { JsonObject } from '../json.js';

/** An entry of `added_tokens`. */
export interface AddedToken {
  readonly id: number;
  readonly content: string;
  readonly single_word: boolean;
  readonly lstrip: boolean;
  readonly rstrip: boolean;
  readonly normalized: boolean;
  /** Whether it is left out of decoded text. */
  readonly special: boolean;
}

/** A special token that is found in any text as it is written. */
export const specialToken = (content: string, id: number): AddedToken => ({
  id,
  content,
  single_word: false,
  lstrip: false,
  rstrip: false,
  normalized: false,
  special: true,
});

/** How Qwen2 tokenizers cut text before byte-pair encoding, in the notation of tokenizer.json. */
const SPLIT_PATTERN =
  "(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|\\p{N}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+";

/** Byte-level byte-pair encoding as Qwen2 tokenizers have it. @param merges pairs with a space between, in order. */
export function qwenTokenizerJson(
  vocab: Readonly<Record<string, number>>,
  merges: readonly string[],
  added: readonly AddedToken[],
): JsonObject {
  const byteLevel = {
    type: 'ByteLevel',
    add_prefix_space: false,
    trim_offsets: false,
    use_regex: false,
  };
  const split = {
    type: 'Split',
    pattern: { Regex: SPLIT_PATTERN },
    behavior: 'Isolated',
    invert: false,
  };
  return {
    version: '1.0',
    truncation: null,
    padding: null,
    added_tokens: added,
    normalizer: { type: 'NFC' },
    pre_tokenizer: { type: 'Sequence', pretokenizers: [split, byteLevel] },
    post_processor: byteLevel,
    decoder: byteLevel,
    model: {
      type: 'BPE',
      dropout: null,
      unk_token: null,
      continuing_subword_prefix: '',
      end_of_word_suffix: '',
      fuse_unk: false,
      byte_fallback: false,
      ignore_merges: false,
      vocab,
      merges,
    },
  };
}

/**
 * Byte-pair encoding as Llama's tokenizers have it: a space is written ▁, one is put in front of every text, characters
 * that are no token are spelt in bytes, and \<s> begins a text where special tokens are asked for.
 */
export function llamaTokenizerJson(
  vocab: Readonly<Record<string, number>>,
  merges: readonly string[],
  added: readonly AddedToken[],
): JsonObject {
  const space = { String: ' ' };
  const written = { String: '▁' };
  const begin = { SpecialToken: { id: '<s>', type_id: 0 } };
  const [first, second] = ['A', 'B'].map((id, type) => ({ Sequence: { id, type_id: type } }));
  return {
    version: '1.0',
    truncation: null,
    padding: null,
    added_tokens: added,
    normalizer: {
      type: 'Sequence',
      normalizers: [
        { type: 'Prepend', prepend: '▁' },
        { type: 'Replace', pattern: space, content: '▁' },
      ],
    },
    pre_tokenizer: null,
    post_processor: {
      type: 'TemplateProcessing',
      single: [begin, first],
      pair: [begin, first, { SpecialToken: { id: '<s>', type_id: 1 } }, second],
      special_tokens: { '<s>': { id: '<s>', ids: [vocab['<s>']], tokens: ['<s>'] } },
    },
    decoder: {
      type: 'Sequence',
      decoders: [
        { type: 'Replace', pattern: written, content: ' ' },
        { type: 'ByteFallback' },
        { type: 'Fuse' },
        { type: 'Strip', content: ' ', start: 1, stop: 0 },
      ],
    },
    model: {
      type: 'BPE',
      dropout: null,
      unk_token: '<unk>',
      continuing_subword_prefix: null,
      end_of_word_suffix: null,
      fuse_unk: true,
      byte_fallback: true,
      ignore_merges: false,
      vocab,
      merges,
    },
  };
}

/** Added tokens of a tokenizer.json, in the order of their ids. */
export const addedTokens = ({ added_tokens: added }: JsonObject): readonly AddedToken[] =>
  (added ?? []) as readonly AddedToken[];

/** Ids by token of a tokenizer.json, ordinary and added ones. */
export function idsByToken(json: JsonObject): ReadonlyMap<string, number> {
  const { vocab } = json['model'] as { readonly vocab: Readonly<Record<string, number>> };
  const added = addedTokens(json).map(({ content, id }) => [content, id] as const);
  return new Map([...Object.entries(vocab), ...added]);
}
