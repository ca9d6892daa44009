const LEAD_INS = [
  'The best answer is',
  'The correct answer is',
  'The answer is',
  'The answer',
  'The best option is',
  'The correct option is',
  'Best answer:',
  'Best option:',
];
/** In longer answers a letter of an option has to occur at all. */
const SHORT = 10;

/**
 * First of the letters A–D and the words yes and no, in any case and also inside of words (`maybe` is an A), as in the
 * official evaluation of the cross-video CVBench (Hokhim2/CVBench, lmms-eval/lmms_eval/tasks/mvr/utils.py@f8dc8f7).
 */
export function extractLetterOrWord(text: string): string | undefined {
  let rest = text.trim();
  for (const lead of LEAD_INS) rest = rest.replaceAll(lead, '');
  const isLong = rest.split(/\s+/).filter((word) => word !== '').length > SHORT;
  if (isLong && !/[ABCDYESNO]/.test(rest)) return undefined;
  return /[ABCD]|YES|NO/i.exec(rest)?.[0]?.toUpperCase();
}
