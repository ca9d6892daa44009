/**
 * The first character behind blanks and opening parentheses where it is a letter, as Cambrian's CV-Bench is evaluated: a
 * sentence that begins with `The` says T. Source: EvolvingLMMs-Lab/lmms-eval, lmms_eval/tasks/cv_bench/utils.py@75571cf.
 */
export const extractChoiceLetter = (text: string): string | undefined =>
  /^[\s(]*([A-Za-z])/.exec(text)?.[1]?.toUpperCase();

/**
 * SPBench's official reading of a choice: without `Answer:`, the first word where it is one of A–D, else the whole text.
 * Source: ZJU-REAL/SpatialLadder, eval_spld/data_utils/vsi_utils.py@87320be.
 */
export function extractLetterFirst(text: string): string | undefined {
  const rest = text.replaceAll('Answer:', '').trim();
  const first = /^([A-D])\.?(?: |$)/.exec(rest)?.[1];
  return first ?? (rest === '' ? undefined : rest);
}

/** Number words in the order in which the official script looks for them. */
const WORDS: Readonly<Record<string, number>> = {
  one: 1,
  two: 2,
  three: 3,
  four: 4,
  five: 5,
  six: 6,
  seven: 7,
  eight: 8,
  nine: 9,
  ten: 10,
  eleven: 11,
  twelve: 12,
  thirteen: 13,
  fourteen: 14,
  fifteen: 15,
  sixteen: 16,
  seventeen: 17,
  eighteen: 18,
  nineteen: 19,
  twenty: 20,
  thirty: 30,
  forty: 40,
  fifty: 50,
  sixty: 60,
  seventy: 70,
  eighty: 80,
  ninety: 90,
  zero: 0,
  a: 1,
  an: 1,
};

/** SPBench's official reading of a number: a number word first, an article being one; else the first unsigned decimal. */
export function extractNumber(text: string): string | undefined {
  const lower = text.toLowerCase();
  for (const [word, value] of Object.entries(WORDS)) {
    if (new RegExp(`\\b${word}\\b`).test(lower)) return String(value);
  }
  return /\d+(?:\.\d+)?/.exec(lower)?.[0];
}
