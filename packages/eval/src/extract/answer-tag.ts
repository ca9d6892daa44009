/**
 * Text between the last `<answer>` and the next `</answer>`, the whole text without such a tag; line breaks removed, in lower
 * case, as in Ego3D-Bench's official evaluation.
 */
export function extractAnswerTag(text: string): string | undefined {
  const inside = text.split('<answer>').at(-1)!.split('</answer>')[0]!;
  const answer = inside.replaceAll('\n', '').trim().toLowerCase();
  return answer === '' ? undefined : answer;
}

/** Content of the last pair of answer tags; undefined without one. */
export const lastAnswerTag = (text: string): string | undefined =>
  [...text.matchAll(/<answer>([\s\S]*?)<\/answer>/g)].at(-1)?.[1]?.trim();
