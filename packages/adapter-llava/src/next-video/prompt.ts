import {
  type ChatMessage,
  contentOf,
  refusePlaceholders,
  requirePlaces,
  splitIds,
  type TextProcessor,
} from '@spatialsv/core/kit';
import type { ConversationV1 } from '@spatialsv/core/spec';
import type { VideoPrompt } from '../shared/video.js';

export const VIDEO = '<video>';
export const IMAGE = '<image>';
export const BEGIN = '<s>';
export const END_OF_TURN = '</s>';

/** What is rendered: the video, where there are views, then the question. */
export interface PromptParts {
  readonly system?: string | undefined;
  readonly hasViews: boolean;
  readonly question: string;
}

/**
 * The prompt of one question, up to the place where the assistant speaks. Same text as the published chat template with
 * generation prompt; a system text goes before it, as in the conversations of Vicuna.
 */
export const renderPrompt = ({ system, hasViews, question }: PromptParts): string =>
  `${beforeTurns(system)}USER: ${hasViews ? `${VIDEO}\n` : ''}${question} ASSISTANT:`;

/** The published template gives a system turn twice, so that it is never given one. */
const beforeTurns = (system: string | undefined): string =>
  system === undefined ? '' : `${system} `;

/** The chat that asks a question, for the checkpoint's own template. */
export const messagesOf = ({ hasViews, question }: PromptParts): readonly ChatMessage[] => [
  {
    role: 'user',
    content: [...(hasViews ? [{ type: 'video' } as const] : []), { type: 'text', text: question }],
  },
];

/** Ids that config.json gives to tokens. */
export interface PromptTokens {
  /** Begins every prompt. */
  readonly beginTokenId: number;
  readonly videoTokenId: number;
}

/**
 * Ids around the video of a conversation.
 * @throws SpatialError DATA_INVALID for a text with placeholders, FILE_INVALID when the chat template does not place one
 *   video.
 */
export async function encodePrompt(
  text: TextProcessor,
  { beginTokenId, videoTokenId }: PromptTokens,
  conversation: ConversationV1,
): Promise<VideoPrompt> {
  refusePlaceholders(conversation, [VIDEO, IMAGE]);
  // One video takes all views, wherever they stand.
  contentOf(conversation);
  const { system, question, answer } = conversation;
  const hasViews = conversation.images.length > 0;
  const rendered = await text.render(messagesOf({ hasViews, question }));
  const ids = [beginTokenId, ...text.encode(beforeTurns(system) + rendered)];
  const stretches = splitIds(ids, videoTokenId);
  requirePlaces(stretches.length - 1, hasViews ? 1 : 0);
  return {
    text: stretches,
    placeholderId: videoTokenId,
    // What follows `ASSISTANT:` begins with a space, which the tokenizer puts before every text.
    ...(answer !== undefined && { answer: [...text.encode(answer), ...text.encode(END_OF_TURN)] }),
  };
}
