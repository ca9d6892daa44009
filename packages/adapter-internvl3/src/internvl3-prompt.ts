import { type ChatMessage, chatMlPrompt, questionChat, requirePlaces } from '@spatialsv/core/kit';
import type { ConversationPartV1 } from '@spatialsv/core/spec';

/** At every visual position, and in chat templates the place of a view. */
export const IMAGE_TOKEN = '<IMG_CONTEXT>';
/** The place of a view in chat templates of the first converted checkpoints. */
const OLDER_MARKER = '<image>';
const VIDEO_MARKER = '<video>';
const BEFORE_VIEW = '<img>';
const BEHIND_VIEW = '</img>';

/** What a text may not contain: it would be taken for a view. */
export const PLACEHOLDERS = [IMAGE_TOKEN, OLDER_MARKER, VIDEO_MARKER];

/** What is rendered. */
export interface PromptParts {
  readonly system?: string;
  /** The user's turn. */
  readonly content: readonly ConversationPartV1[];
  /** Whether all views stand before the question, each on a line of its own. */
  readonly areFirst: boolean;
  /** Whether `Image-1: ` stands before the first view, and so on: where they stand before the question. */
  readonly areNumbered: boolean;
}

/**
 * Who the model is told that it is where a conversation says nothing (conversation template `internvl2_5`): that it is
 * InternVL, a multimodal model, and who has built it.
 */
export const DEFAULT_SYSTEM =
  '你是书生·万象，英文名是InternVL，是由上海人工智能实验室、清华大学及多家合作单位联合开发的多模态大语言模型。';

/**
 * The prompt of one question, up to the place where the assistant speaks, as the code of original checkpoints writes it.
 * @returns the texts before, between and behind the views.
 */
export function originalPrompt(parts: PromptParts, system = DEFAULT_SYSTEM): readonly string[] {
  const view = `${BEFORE_VIEW}${IMAGE_TOKEN}${BEHIND_VIEW}${parts.areFirst ? '\n' : ''}`;
  const user = labelled(parts).map((part) => (part.type === 'text' ? part.text : view));
  const text = chatMlPrompt(parts.system ?? system, user.join(''));
  return text.split(IMAGE_TOKEN);
}

/** The chat that asks a question, for the checkpoint's own template. */
export const messagesOf = (parts: PromptParts): readonly ChatMessage[] =>
  questionChat(parts.system, labelled(parts));

/**
 * A rendered chat with every view between its two tokens.
 * @returns the texts before, between and behind the views.
 * @throws SpatialError FILE_INVALID when the chat does not hold `views` places for them.
 */
export function splitAtViews(chat: string, views: number): readonly string[] {
  const markers = [IMAGE_TOKEN, OLDER_MARKER];
  const texts = markers.map((marker) => chat.split(marker)).find(({ length }) => length > 1) ?? [
    chat,
  ];
  requirePlaces(texts.length - 1, views);
  return texts.map((text, i) => {
    const before = i < views ? BEFORE_VIEW : '';
    return `${i > 0 ? BEHIND_VIEW : ''}${text}${before}`;
  });
}

/** What follows the prompt when the assistant has answered. The newline behind it is no target. */
export const renderAnswer = (answer: string): string => `${answer}<|im_end|>`;

/** The user's turn with the numbers of its views. */
function labelled({ content, areNumbered }: PromptParts): readonly ConversationPartV1[] {
  if (!areNumbered) return content;
  let view = 0;
  return content.flatMap((part): readonly ConversationPartV1[] => {
    if (part.type === 'text') return [part];
    view += 1;
    return [{ type: 'text', text: `Image-${view}: ` }, part];
  });
}
