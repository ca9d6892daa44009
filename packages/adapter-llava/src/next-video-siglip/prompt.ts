import { chatMlPrompt, contentOf, refusePlaceholders, type TextCodec } from '@spatialsv/core/kit';
import type { ConversationV1 } from '@spatialsv/core/spec';
import type { VideoPrompt } from '../shared/video.js';

export const DEFAULT_SYSTEM = 'You are a helpful assistant.';
export const IMAGE = '<image>';
export const END_OF_TURN = '<|im_end|>';

/** What is rendered: the video, where there are views, then the question. */
export interface PromptParts {
  readonly system?: string | undefined;
  readonly hasViews: boolean;
  readonly question: string;
}

/** The prompt of one question, up to the place where the assistant speaks (conversation `qwen_1_5`). */
export const renderPrompt = ({ system, hasViews, question }: PromptParts): string =>
  chatMlPrompt(system ?? DEFAULT_SYSTEM, `${hasViews ? `${IMAGE}\n` : ''}${question}`);

/** What follows the prompt when the assistant has answered. */
export const renderAnswer = (answer: string): string => `${answer}<|im_end|>\n`;

/**
 * Ids around the video of a conversation. The marker of the video is no token: the texts before and behind it are encoded
 * each by itself.
 * @throws SpatialError DATA_INVALID for a text with the marker.
 */
export function encodePrompt(text: TextCodec, conversation: ConversationV1): VideoPrompt {
  refusePlaceholders(conversation, [IMAGE]);
  // One video takes all views, wherever they stand.
  contentOf(conversation);
  const { system, question, answer, images } = conversation;
  const rendered = renderPrompt({ system, question, hasViews: images.length > 0 });
  return {
    text: rendered.split(IMAGE).map((stretch) => text.encode(stretch)),
    placeholderId: text.encode(END_OF_TURN)[0]!,
    ...(answer !== undefined && { answer: text.encode(renderAnswer(answer)) }),
  };
}
