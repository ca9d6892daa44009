import { Template } from '@huggingface/jinja';
import { SpatialError } from '@spatialsv/core';

export const DEFAULT_SYSTEM = 'You are a helpful assistant.';
export const IMAGE_PAD = '<|image_pad|>';
export const VIDEO_PAD = '<|video_pad|>';

/** What is rendered: views first, then the question, each view as one placeholder. */
export interface PromptParts {
  readonly system?: string;
  readonly images: number;
  readonly question: string;
}

/**
 * The prompt of one question, up to the place where the assistant speaks. Same text as the published chat template
 * with generation prompt.
 */
export function renderPrompt(parts: PromptParts): string {
  const view = `<|vision_start|>${IMAGE_PAD}<|vision_end|>`;
  return [
    `<|im_start|>system\n${parts.system ?? DEFAULT_SYSTEM}<|im_end|>\n`,
    `<|im_start|>user\n${view.repeat(parts.images)}${parts.question}<|im_end|>\n`,
    '<|im_start|>assistant\n',
  ].join('');
}

/** What follows the prompt when the assistant has answered. */
export const renderAnswer = (answer: string): string => `${answer}<|im_end|>\n`;

/**
 * Renders prompts with a checkpoint's own Jinja template.
 * @param source template text. @param where its file, for messages.
 * @throws SpatialError FILE_INVALID when the template cannot be parsed or rendered.
 */
export function templateRenderer(source: string, where: string): (parts: PromptParts) => string {
  const guard = <T>(run: () => T): T => {
    try {
      return run();
    } catch (cause) {
      throw new SpatialError({
        code: 'FILE_INVALID',
        message: `${where}: the chat template does not render (${(cause as Error).message})`,
        hint: 'Restore the chat template published with the checkpoint.',
        cause,
      });
    }
  };
  const template = guard(() => new Template(source));
  return (parts) =>
    guard(() => template.render({ messages: messagesOf(parts), add_generation_prompt: true }));
}

function messagesOf(parts: PromptParts): unknown[] {
  const images = Array.from({ length: parts.images }, () => ({ type: 'image' }));
  const user = { role: 'user', content: [...images, { type: 'text', text: parts.question }] };
  return parts.system === undefined ? [user] : [{ role: 'system', content: parts.system }, user];
}

/** Refuses text that contains an image or video placeholder, which would be taken for a view. */
export function refusePlaceholders(what: string, text: string): void {
  for (const placeholder of [IMAGE_PAD, VIDEO_PAD]) {
    if (!text.includes(placeholder)) continue;
    throw new SpatialError({
      code: 'DATA_INVALID',
      message: `${what}: expected plain text, found the placeholder ${placeholder}`,
      hint: 'Remove the placeholder; views are placed before the question automatically.',
    });
  }
}
