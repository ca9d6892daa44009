import type { AnswerOptionV1 } from '@spatialsv/core/spec';

/** Letter of an answer that refuses. It is no option, so the answer is wrong. */
export const REFUSED = 'Z';

const REFUSALS = [
  "Sorry, I can't help with images of people yet.",
  "I can't process this file.",
  "I'm sorry, but without the image provided",
  'Cannot determine the answer',
];

/** A letter that stands further in front is taken for part of a sentence. */
const LAST_TOKENS = 4;

/**
 * Letter that the public kit's exact matching infers: a refusal; the only letter among the options that stands alone, close
 * to the end; `answer is B`; the only option whose text is said.
 * Source: open-compass/VLMEvalKit, vlmeval/utils/matching_util.py@e8e78f05.
 */
export function inferOption(text: string, options: readonly AnswerOptionV1[]): string | undefined {
  return inferLetter(text, options) ?? inferByText(text, options);
}

function inferLetter(text: string, options: readonly AnswerOptionV1[]): string | undefined {
  if (REFUSALS.some((refusal) => text.includes(refusal))) return REFUSED;
  const tokens = text
    .replace(/[.()[\],:;!*#{}]/g, ' ')
    .split(/\s+/)
    .filter((token) => token !== '');
  const found = options.map(({ letter }) => letter).filter((letter) => tokens.includes(letter));
  if (found.length === 1 && tokens.indexOf(found[0]!) >= tokens.length - LAST_TOKENS)
    return found[0];
  if (found.length === 0 && tokens.includes(REFUSED)) return REFUSED;
  return /(?:correct )?answer is \**([A-D])\b/i.exec(text)?.[1]?.toUpperCase();
}

/** The only option whose text stands in an answer that is not much longer than all of them. */
function inferByText(text: string, options: readonly AnswerOptionV1[]): string | undefined {
  const answer = text.toLowerCase();
  const length = options.reduce((sum, option) => sum + option.text.length, 0);
  if (answer.length > 2 * length) return undefined;
  const said = options.filter((option) => answer.includes(option.text.toLowerCase()));
  return said.length === 1 ? said[0]!.letter : undefined;
}
