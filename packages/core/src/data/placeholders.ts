import { SpatialError } from '../errors.js';

/** Marks of other toolkits for the place of an image, video or sound in a text. */
const PLACEHOLDER =
  /<\|?(?:image|images|img|video|videos|audio|IMG_CONTEXT|ImageHere|image_pad|video_pad|vision_start|vision_end|image_start|image_end)(?:[_ ]?\d+)?\|?>|\[IMG\]|<img>[^<]*<\/img>|<image_soft_token>/;

/** The mark that LLaVA, LLaMA-Factory and ms-swift use. */
const IMAGE = '<image>';

/** First placeholder of any toolkit in a text. */
const findPlaceholder = (text: string): string | undefined => PLACEHOLDER.exec(text)?.[0];

/**
 * Refuses a text with placeholders: a model would be given their letters.
 * @param where what the text is, for messages: `file:line: field 'question'`.
 * @throws SpatialError DATA_INVALID.
 */
export function requireNoPlaceholder(where: string, text: string): void {
  const found = findPlaceholder(text);
  if (found !== undefined) throw placeholderError(where, found);
}

export const placeholderError = (where: string, found: string): SpatialError =>
  new SpatialError({
    code: 'DATA_INVALID',
    message: `${where}: expected plain text, found the placeholder ${found}`,
    hint: 'Remove the placeholder; images are placed before the question, in the order of their list. Rows of other toolkits are read as they are: formats `conversations`, `messages` and `instruction`.',
  });

/**
 * Takes the image placeholders out of a question, where they say what is done anyway: images first, then the text. A text with
 * fewer of them than images has the others in front, as in ms-swift; a single image is moved in front, as in LLaVA.
 * @param where for messages.
 * @throws SpatialError DATA_INVALID for images within the text, more placeholders than images, and other media.
 */
export function takeImagePlaceholders(where: string, text: string, images: number): string {
  const parts = text.split(IMAGE);
  const found = parts.length - 1;
  const question = parts.map((part) => part.trim()).filter((part) => part !== '');
  if (found > images) throw misplaced(where, `expected ${images} ${IMAGE}, found ${found}`);
  const isInFront = parts.slice(0, -1).every((part) => part.trim() === '');
  if (!isInFront && images > 1)
    throw misplaced(where, `expected every ${IMAGE} in front of the text, found one within it`);
  const plain = isInFront ? parts.at(-1)!.replace(/^\s+/, '') : question.join('\n');
  requireNoPlaceholder(where, plain);
  return found === 0 ? text : plain;
}

const misplaced = (where: string, what: string): SpatialError =>
  new SpatialError({
    code: 'DATA_INVALID',
    message: `${where}: ${what}`,
    hint: `Put one ${IMAGE} for each image in front of the text, and name images in the text by their number: "In the first image …".`,
  });
