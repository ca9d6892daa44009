/**
 * What an answer says under VSI-Bench's official evaluation: the text before the first space, without periods at its end.
 * `(A)` and `The answer is A` therefore say nothing that is right. Source: vision-x-nyu/thinking-in-space,
 * lmms_eval/tasks/vsibench/utils.py@51e089c.
 * @returns undefined where nothing stands before the first space.
 */
export function extractFirstWord(text: string): string | undefined {
  const word = text.split(' ')[0]!.replace(/\.+$/, '').trim();
  return word === '' ? undefined : word;
}
