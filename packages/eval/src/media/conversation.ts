import { decodeImage, readImage } from '@spatialsv/core';
import type {
  BenchmarkImageV1,
  BenchmarkQuestionV1,
  ConversationV1,
  PromptPartV1,
  RgbImage,
} from '@spatialsv/core/spec';
import { videoFrames } from './video-frames.js';

/**
 * What a backbone is asked for a question: its images and the frames of its videos in order, then its texts.
 * @throws SpatialError FILE_MISSING, IMAGE_INVALID; FILE_MISSING without ffmpeg for a question with videos.
 */
export async function conversationOf({
  parts,
  system,
}: Pick<BenchmarkQuestionV1, 'parts' | 'system'>): Promise<ConversationV1> {
  const images: RgbImage[] = [];
  for (const part of parts) images.push(...(await imagesOf(part)));
  const question = parts.map((part) => (part.type === 'text' ? part.text : '')).join('');
  return { images, question, ...(system !== undefined && { system }) };
}

async function imagesOf(part: PromptPartV1): Promise<readonly RgbImage[]> {
  if (part.type === 'text') return [];
  if (part.type === 'image') return [await readBenchmarkImage(part.image)];
  const frames = await videoFrames(part.video);
  return Promise.all(frames.map((frame) => readImage(frame)));
}

const readBenchmarkImage = async ({ name, source }: BenchmarkImageV1): Promise<RgbImage> =>
  typeof source === 'string' ? readImage(source) : decodeImage(await source(), name);
