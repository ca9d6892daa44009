import { countWords, learnMerges } from './byte-pairs.js';
import type { TinyTokenizer } from './tiny-tokenizer.js';
import { llamaTokenizerJson, specialToken } from './tokenizer-json.js';

/** Special tokens of every Llama vocabulary; they have the first ids. */
const FIRST = ['<unk>', '<s>', '</s>'] as const;

/** Token of each byte, which spells characters that are no token. */
const BYTES = Array.from(
  { length: 256 },
  (_, byte) => `<0x${byte.toString(16).toUpperCase().padStart(2, '0')}>`,
);

/**
 * A byte-pair tokenizer in the structure of Llama's: `<unk>`, `<s>` and `</s>`, all 256 bytes, the characters of the corpus,
 * merges learnt from it, then the special tokens.
 * @param corpus texts whose words should become tokens.
 * @param maxMerges upper bound on learnt tokens.
 * @param special tokens of the family beside the first three, in the order of their ids.
 */
export function makeTinyLlamaTokenizer(
  corpus: readonly string[],
  maxMerges: number,
  special: readonly string[],
): TinyTokenizer {
  const words = countWords(corpus.flatMap(splitWords));
  const characters = [...new Set(['▁', ...words.keys()].flatMap((word) => [...word]))].sort();
  const merges = learnMerges(words, maxMerges);
  const joined = merges.map(([left, right]) => left + right);
  const ordinary = [...new Set([...FIRST, ...BYTES, ...characters, ...joined])];
  const ids = new Map([...ordinary, ...special].map((token, id) => [token, id]));
  const added = [...FIRST, ...special];
  const json = llamaTokenizerJson(
    Object.fromEntries(ordinary.map((token, id) => [token, id])),
    merges.map((pair) => pair.join(' ')),
    added.map((token) => specialToken(token, ids.get(token)!)),
  );
  return { ids, special: added, json };
}

/** Words with the ▁ in front of them that stands for a space; line breaks are words. */
const splitWords = (text: string): readonly string[] =>
  `▁${text.replaceAll(' ', '▁')}`.match(/\n|▁?[^▁\n]+|▁/gu) ?? [];
