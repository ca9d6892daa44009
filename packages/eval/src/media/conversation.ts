import { decodeImage, readImage } from '@spatialsv/core';
import type {
  BenchmarkImageV1,
  BenchmarkQuestionV1,
  ConversationPartV1,
  ConversationV1,
  PromptPartV1,
  RgbImage,
} from '@spatialsv/core/spec';
import { videoFrames } from './video-frames.js';

/**
 * What a backbone is asked for a question: its texts, its images and the frames of its videos, in their order.
 * @throws SpatialError FILE_MISSING, IMAGE_INVALID; FILE_MISSING without ffmpeg for a question with videos.
 */
export async function conversationOf({
  parts,
  system,
}: Pick<BenchmarkQuestionV1, 'parts' | 'system'>): Promise<ConversationV1> {
  const images: RgbImage[] = [];
  const content: ConversationPartV1[] = [];
  for (const part of parts) {
    const views = await imagesOf(part);
    images.push(...views);
    if (part.type === 'text') content.push(part);
    else content.push(...views.map(() => ({ type: 'image' }) as const));
  }
  const question = content.map((part) => (part.type === 'text' ? part.text : '')).join('');
  return {
    ...{ images, question },
    ...(areInside(content) && { parts: content }),
    ...(system !== undefined && { system }),
  };
}

/** Whether an image stands behind a text. */
const areInside = (content: readonly ConversationPartV1[]): boolean =>
  content.some(({ type }, i) => type === 'image' && content[i - 1]?.type === 'text');

async function imagesOf(part: PromptPartV1): Promise<readonly RgbImage[]> {
  if (part.type === 'text') return [];
  if (part.type === 'image') return [await readBenchmarkImage(part.image)];
  const frames = await videoFrames(part.video);
  return Promise.all(frames.map((frame) => readImage(frame)));
}

const readBenchmarkImage = async ({ name, source }: BenchmarkImageV1): Promise<RgbImage> =>
  typeof source === 'string' ? readImage(source) : decodeImage(await source(), name);
