/** The answer in the JSON-like template that Spatial457 asks for, and what is wrong with texts that do not follow it. */

/** How a toolkit finds the answer: the first form that is found. */
export interface AnswerForms {
  readonly forms: readonly RegExp[];
  readonly trim: (text: string) => string;
}

/**
 * A value in single quotes, in double quotes, a digit, each in one spelling.
 * Source: open-compass/VLMEvalKit, vlmeval/dataset/spatial457.py@e8e78f05.
 */
export const KIT_FORMS: AnswerForms = {
  forms: [/Answer': '([^']*)'/, /Answer": "([^"]*)"/, /Answer': (\d)/],
  trim: (text) => text,
};

/**
 * A value in quotes of any kind, also behind `=`; a word; a number; whatever the case.
 * Source: EvolvingLMMs-Lab/lmms-eval, lmms_eval/tasks/spatial457/utils.py@46340e1.
 */
export const LME_FORMS: AnswerForms = {
  forms: [
    /['"]?Answer['"]?\s*[:=]\s*['"]([^'"]+)['"]/i,
    /Answer['"]?\s*:\s*['"]?([\p{L}\p{N}_]+)/iu,
    /['"]Answer['"]:\s*(\d+)/i,
  ],
  trim: (text) => text.trim(),
};

/** The answer, else the whole text. */
export function extractJsonAnswer(text: string, { forms, trim }: AnswerForms = KIT_FORMS): string {
  return trim(found(text, forms) ?? text);
}

const found = (text: string, forms: readonly RegExp[]): string | undefined =>
  forms.map((form) => form.exec(text)?.[1]).find((answer) => answer !== undefined);

/** Ways in which a text does not follow the template. */
export const FORMAT_ERRORS = [
  'no text',
  'no answer key',
  'answer cut off',
  'answer in another form',
] as const;
export type FormatError = (typeof FORMAT_ERRORS)[number];

/** Why the answer could not be taken out of a text; undefined where it could. */
export function formatErrorOf(
  text: string,
  { forms }: AnswerForms = KIT_FORMS,
): FormatError | undefined {
  if (found(text, forms) !== undefined) return undefined;
  if (text.trim() === '') return 'no text';
  const behind = /answer['"]?\s*[:=]\s*([\s\S]*)$/i.exec(text)?.[1];
  if (behind === undefined) return 'no answer key';
  const [quote, ...value] = behind;
  const isOpen = quote === "'" || quote === '"' ? !value.includes(quote) : behind.trim() === '';
  return isOpen ? 'answer cut off' : 'answer in another form';
}
