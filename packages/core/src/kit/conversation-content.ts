/** How images stand among the texts of the user's turn. */
import { SpatialError } from '../errors.js';
import type { ConversationPartV1, ConversationV1 } from '../spec.js';

/** Every image, then the question. */
export const imagesFirst = (images: number, question: string): readonly ConversationPartV1[] => [
  ...Array.from({ length: images }, () => ({ type: 'image' }) as const),
  { type: 'text', text: question },
];

/**
 * The user's turn in its order.
 * @throws SpatialError DATA_INVALID for parts that are not all images and the whole question.
 */
export function contentOf({
  images,
  question,
  parts,
}: ConversationV1): readonly ConversationPartV1[] {
  if (parts === undefined) return imagesFirst(images.length, question);
  const places = parts.filter(({ type }) => type === 'image').length;
  const text = parts.map((part) => (part.type === 'text' ? part.text : '')).join('');
  if (places === images.length && text === question) return parts;
  throw new SpatialError({
    code: 'DATA_INVALID',
    message: `conversation: expected parts of ${images.length} images and the ${question.length} characters of the question, found ${places} images and ${text.length} characters`,
    hint: 'Give a part for each image, and texts that are the question when they are joined; or leave parts out.',
  });
}
