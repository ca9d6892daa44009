import {
  type ChatMessage,
  type ChatPart,
  contentOf,
  refusePlaceholders,
  requirePlaces,
  type TextProcessor,
} from '@spatialsv/core/kit';
import type { ConversationV1 } from '@spatialsv/core/spec';

export const IMAGE = '<image>';
export const VIDEO = '<video>';
export const END_OF_TURN = '<|im_end|>';

/** What follows the prompt when the assistant has answered. */
const renderAnswer = (answer: string): string => `${answer}${END_OF_TURN}`;

/** Ids around the places of a prompt. */
export interface EncodedPrompt {
  /** Ids before, between and behind the places. */
  readonly text: readonly (readonly number[])[];
  readonly answer?: readonly number[];
}

/**
 * Ids of a conversation by the checkpoint's own template, which puts images and videos before the text.
 * @param places one for each image, or one video for all.
 * @throws SpatialError DATA_INVALID for a text with a placeholder, FILE_INVALID when the template gives other places.
 */
export async function encodePrompt(
  text: TextProcessor,
  conversation: ConversationV1,
  places: { readonly kind: 'image' | 'video'; readonly count: number },
): Promise<EncodedPrompt> {
  refusePlaceholders(conversation, [IMAGE, VIDEO]);
  const { question, system, answer } = conversation;
  const content = contentOf(conversation);
  const user: readonly ChatPart[] =
    places.kind === 'image' ? content : [{ type: 'video' }, textPart(question)];
  const messages: readonly ChatMessage[] = [
    ...(system === undefined ? [] : [{ role: 'system', content: [textPart(system)] } as const]),
    { role: 'user', content: user },
  ];
  const segments = (await text.render(messages)).split(places.kind === 'image' ? IMAGE : VIDEO);
  requirePlaces(segments.length - 1, places.count);
  return {
    text: segments.map((segment) => text.encode(segment)),
    ...(answer !== undefined && { answer: text.encode(renderAnswer(answer)) }),
  };
}

const textPart = (text: string): ChatPart => ({ type: 'text', text });
