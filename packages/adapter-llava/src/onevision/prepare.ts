import { layOutPrompt, oneByOne, plainPositions, type TextProcessor } from '@spatialsv/core/kit';
import type { ConversationV1, PreparedInputsV1 } from '@spatialsv/core/spec';
import { layOutVideo, type VideoConfig } from '../shared/video.js';
import { encodePrompt } from './prompt.js';
import { type ImageView, paddedView, tiledView, type ViewConfig } from './views.js';

/**
 * What views are shown as. `anyres`: a single one as tiles, several as one padded square each, which is the rule of
 * transformers' processor for the images of one conversation. `padded`: one padded square each, also a single one. `frames`:
 * the frames of one video.
 */
export const VIEW_MODES = ['anyres', 'padded', 'frames'] as const;
export type ViewMode = (typeof VIEW_MODES)[number];

export interface PrepareContext {
  readonly text: TextProcessor;
  readonly mode: ViewMode;
  readonly views: ViewConfig;
  readonly video: VideoConfig;
}

/**
 * Tokenises a conversation, lays its views out and preprocesses their pixels.
 * @throws SpatialError IMAGE_INVALID for an image of extreme shape, DATA_INVALID for text with a placeholder, FILE_INVALID
 *   when the chat template does not place the views.
 */
export async function prepareOneVision(
  context: PrepareContext,
  conversation: ConversationV1,
): Promise<PreparedInputsV1> {
  const { text, mode, views, video } = context;
  const { images } = conversation;
  if (mode === 'frames' && images.length > 0) {
    const prompt = await encodePrompt(text, conversation, { kind: 'video', count: 1 });
    return layOutVideo(video, images, { ...prompt, placeholderId: views.videoTokenId });
  }
  const makeView = mode === 'anyres' && images.length === 1 ? tiledView : paddedView;
  const made = await oneByOne(images, (image): ImageView => makeView(image, views));
  const prompt = await encodePrompt(text, conversation, { kind: 'image', count: images.length });
  const rows = made.map((view) => view.rows);
  const { starts, ...tokens } = layOutPrompt({
    ...prompt,
    rows,
    placeholderId: views.imageTokenId,
  });
  return {
    ...tokens,
    ...plainPositions(tokens.inputIds.length),
    views: made.map(({ view }) => view),
    grids: made.map(({ grid }, i) => grid(starts[i]!)),
  };
}
