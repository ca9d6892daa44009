import type { JsonObject } from '../json.js';
import { qwenTokenizerJson, specialToken } from './tokenizer-json.js';

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
  const merges = learnMerges(wordCounts(corpus, bytes), maxMerges);
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

/** Number of occurrences of every pre-token, spelt in byte characters. */
function wordCounts(corpus: readonly string[], bytes: readonly string[]): Map<string, number> {
  const encoder = new TextEncoder();
  const counts = new Map<string, number>();
  for (const text of corpus) {
    for (const [word] of text.normalize('NFC').matchAll(SPLIT)) {
      const spelt = Array.from(encoder.encode(word), (byte) => bytes[byte]!).join('');
      counts.set(spelt, (counts.get(spelt) ?? 0) + 1);
    }
  }
  return counts;
}

type Merge = readonly [string, string];

/** Byte-pair encoding: repeatedly joins the most frequent neighbouring pair (ties by spelling). */
function learnMerges(counts: ReadonlyMap<string, number>, maxMerges: number): readonly Merge[] {
  let words: readonly Word[] = [...counts].map(([word, count]) => ({
    pieces: Array.from(word),
    count,
  }));
  const merges: Merge[] = [];
  while (merges.length < maxMerges) {
    const best = mostFrequentPair(words);
    if (best === undefined) break;
    merges.push(best);
    words = words.map(({ pieces, count }) => ({ pieces: joinPair(pieces, best), count }));
  }
  return merges;
}

interface Word {
  readonly pieces: readonly string[];
  readonly count: number;
}

function mostFrequentPair(words: readonly Word[]): Merge | undefined {
  const pairs = new Map<string, { pair: Merge; count: number }>();
  for (const { pieces, count } of words) {
    for (let i = 0; i + 1 < pieces.length; i++) {
      const pair: Merge = [pieces[i]!, pieces[i + 1]!];
      const key = pair.join(' ');
      pairs.set(key, { pair, count: (pairs.get(key)?.count ?? 0) + count });
    }
  }
  let best: { key: string; pair: Merge; count: number } | undefined;
  for (const [key, { pair, count }] of pairs) {
    const isBetter =
      best === undefined || count > best.count || (count === best.count && key < best.key);
    if (isBetter) best = { key, pair, count };
  }
  return best?.pair;
}

function joinPair(pieces: readonly string[], [left, right]: Merge): readonly string[] {
  const joined: string[] = [];
  for (let i = 0; i < pieces.length; i++) {
    const isPair = pieces[i] === left && pieces[i + 1] === right;
    joined.push(isPair ? left + right : pieces[i]!);
    if (isPair) i++;
  }
  return joined;
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
