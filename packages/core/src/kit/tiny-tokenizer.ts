import type { JsonObject } from '../json.js';
import { countWords, learnMerges } from './byte-pairs.js';
import { qwenTokenizerJson, specialToken } from './tokenizer-json.js';

/** What the families of Qwen have in tokenizer_config.json. */
export const QWEN_TOKENIZER = {
  eos_token: '<|im_end|>',
  pad_token: '<|endoftext|>',
  tokenizer_class: 'Qwen2Tokenizer',
} as const;

/** Special tokens of the Qwen2.5 family, in the order of their ids, which follow the ordinary vocabulary. */
export const QWEN_TOKENS = [
  '<|endoftext|>',
  '<|im_start|>',
  '<|im_end|>',
  '<|object_ref_start|>',
  '<|object_ref_end|>',
  '<|box_start|>',
  '<|box_end|>',
  '<|quad_start|>',
  '<|quad_end|>',
  '<|vision_start|>',
  '<|vision_end|>',
  '<|vision_pad|>',
  '<|image_pad|>',
  '<|video_pad|>',
] as const;

/** How Qwen2 tokenizers cut text before byte-pair encoding, as a JavaScript expression. */
const SPLIT =
  /'[sStTmMdD]|'[rRvV][eE]|'[lL][lL]|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+/gu;

export interface TinyTokenizer {
  /** Special tokens, in the order of their ids. */
  readonly special: readonly string[];
  /** Content of tokenizer.json. */
  readonly json: JsonObject;
  /** Ids by token, special ones included. */
  readonly ids: ReadonlyMap<string, number>;
}

/**
 * A byte-level BPE tokenizer in the structure of Qwen2's: all 256 bytes, merges learnt from the corpus (most frequent
 * pair first) until every word is one token or the limit is reached, then the special tokens.
 * @param corpus texts whose words should become tokens.
 * @param maxMerges upper bound on learnt tokens.
 * @param special tokens of the family, in the order of their ids.
 */
export function makeTinyTokenizer(
  corpus: readonly string[],
  maxMerges: number,
  special: readonly string[],
): TinyTokenizer {
  const bytes = byteCharacters();
  const merges = learnMerges(countWords(spelt(corpus, bytes)), maxMerges);
  const ordinary = [...[...bytes].sort(), ...merges.map(([left, right]) => left + right)];
  const tokens = [...ordinary, ...special];
  const ids = new Map(tokens.map((token, id) => [token, id]));
  const json = qwenTokenizerJson(
    Object.fromEntries(ordinary.map((token, id) => [token, id])),
    merges.map((pair) => pair.join(' ')),
    special.map((content, i) => specialToken(content, ordinary.length + i)),
  );
  return { ids, special, json };
}

/** Visible character of each byte in byte-level BPE: printable Latin-1 as itself, the rest from U+0100 on. */
function byteCharacters(): readonly string[] {
  let next = 256;
  return Array.from({ length: 256 }, (_, byte) => {
    const isVisible =
      (byte >= 33 && byte <= 126) || (byte >= 161 && byte <= 172) || (byte >= 174 && byte <= 255);
    return String.fromCodePoint(isVisible ? byte : next++);
  });
}

/** Pre-tokens of texts, spelt in byte characters. */
function* spelt(corpus: readonly string[], bytes: readonly string[]): Generator<string> {
  const encoder = new TextEncoder();
  for (const text of corpus) {
    for (const [word] of text.normalize('NFC').matchAll(SPLIT))
      yield Array.from(encoder.encode(word), (byte) => bytes[byte]!).join('');
  }
}

/** Content of tokenizer_config.json. @param family keys that depend on the family, for example `eos_token`. */
export function tokenizerConfig({ ids, special }: TinyTokenizer, family: JsonObject): JsonObject {
  const added = special.map((content) => {
    const { id, ...token } = specialToken(content, ids.get(content)!);
    return [String(id), token];
  });
  const settings: JsonObject = {
    add_bos_token: false,
    add_prefix_space: false,
    added_tokens_decoder: Object.fromEntries(added),
    additional_special_tokens: special.slice(1),
    bos_token: null,
    clean_up_tokenization_spaces: false,
    errors: 'replace',
    model_max_length: 131072,
    split_special_tokens: false,
    unk_token: null,
    ...family,
  };
  return Object.fromEntries(Object.entries(settings).sort(([a], [b]) => (a < b ? -1 : 1)));
}
