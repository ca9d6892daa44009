import type { BenchmarkQuestionV1, PromptPartV1 } from '@spatialsv/core/spec';

/** A part of a prompt that can be sent to another thread: bytes of images in place of what reads them. */
export type SentPart =
  | Exclude<PromptPartV1, { readonly type: 'image' }>
  | {
      readonly type: 'image';
      readonly image: { readonly name: string; readonly source: string | Uint8Array };
    };

/** What of a question makes its prompt. */
export type PromptQuestion = Pick<BenchmarkQuestionV1, 'parts' | 'system'>;

export interface SentQuestion {
  readonly parts: readonly SentPart[];
  readonly system: string | undefined;
}

export async function sentQuestion({ parts, system }: PromptQuestion): Promise<SentQuestion> {
  return { parts: await Promise.all(parts.map(sentPart)), system };
}

async function sentPart(part: PromptPartV1): Promise<SentPart> {
  if (part.type !== 'image') return part;
  const { name, source } = part.image;
  const sent = typeof source === 'string' ? source : await source();
  return { type: 'image', image: { name, source: sent } };
}

export function receivedQuestion({ parts, system }: SentQuestion): PromptQuestion {
  return { parts: parts.map(receivedPart), ...(system !== undefined && { system }) };
}

function receivedPart(part: SentPart): PromptPartV1 {
  if (part.type !== 'image') return part;
  const { name, source } = part.image;
  return {
    type: 'image',
    image: { name, source: typeof source === 'string' ? source : async () => source },
  };
}
