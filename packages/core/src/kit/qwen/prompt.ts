/** The prompt of Qwen's vision models. */
import type { ConversationPartV1 } from '../../spec.js';
import { chatMlPrompt, questionChat } from '../chat-ml.js';
import type { ConfigFields } from '../config-fields.js';
import type { ChatMessage } from '../text-processor.js';

export const DEFAULT_SYSTEM = 'You are a helpful assistant.';
/** Ends an answer in any case. */
export const END_OF_TURN = '<|im_end|>';
export const IMAGE_PAD = '<|image_pad|>';
export const VIDEO_PAD = '<|video_pad|>';

/** Ids in config.json. */
export interface CellTokens {
  readonly imageTokenId: number;
  readonly videoTokenId: number;
  readonly visionStartTokenId: number;
  readonly visionEndTokenId: number;
}

/** What is rendered, each view as one placeholder. */
export interface PromptParts {
  readonly system?: string;
  /** The user's turn. */
  readonly content: readonly ConversationPartV1[];
}

/**
 * The prompt of one question, up to the place where the assistant speaks. Same text as the published chat template
 * with generation prompt.
 */
export function renderPrompt(parts: PromptParts): string {
  const view = `<|vision_start|>${IMAGE_PAD}<|vision_end|>`;
  const user = parts.content.map((part) => (part.type === 'text' ? part.text : view));
  return chatMlPrompt(parts.system ?? DEFAULT_SYSTEM, user.join(''));
}

/** What follows the prompt when the assistant has answered. */
export const renderAnswer = (answer: string): string => `${answer}<|im_end|>\n`;

/** The chat that asks a question, for the checkpoint's own template. */
export const messagesOf = ({ system, content }: PromptParts): readonly ChatMessage[] =>
  questionChat(system, content);

/** @param root fields of config.json, which have the published ids where absent. @throws SpatialError CONFIG_INVALID. */
export const readCellTokens = (root: ConfigFields): CellTokens => ({
  imageTokenId: root.integer('image_token_id', 151655),
  videoTokenId: root.integer('video_token_id', 151656),
  visionStartTokenId: root.integer('vision_start_token_id', 151652),
  visionEndTokenId: root.integer('vision_end_token_id', 151653),
});

/** Ids that the tokenizer has to give to the tokens around and in place of views. */
export const cellTokenIds = (config: CellTokens): Readonly<Record<string, number>> => ({
  [IMAGE_PAD]: config.imageTokenId,
  [VIDEO_PAD]: config.videoTokenId,
  '<|vision_start|>': config.visionStartTokenId,
  '<|vision_end|>': config.visionEndTokenId,
});
