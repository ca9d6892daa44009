/** Prompts of models that mark turns as Qwen does. */
import type { ChatMessage, ChatPart } from './text-processor.js';

/** What is asked, up to the place where the assistant speaks. */
export const chatMlPrompt = (system: string, user: string): string =>
  [
    `<|im_start|>system\n${system}<|im_end|>\n`,
    `<|im_start|>user\n${user}<|im_end|>\n`,
    '<|im_start|>assistant\n',
  ].join('');

/** The chat of one question, for a checkpoint's own template. */
export function questionChat(
  system: string | undefined,
  content: readonly ChatPart[],
): readonly ChatMessage[] {
  const user: ChatMessage = { role: 'user', content };
  return system === undefined ? [user] : [{ role: 'system', content: system }, user];
}
