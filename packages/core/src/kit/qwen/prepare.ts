/** Conversations of models that share Qwen's processor and prompt: each view in cells between its own two tokens. */
import type { ConversationV1, PreparedInputsV1, RgbImage, ViewGridV1 } from '../../spec.js';
import { contentOf } from '../conversation-content.js';
import { oneByOne } from '../one-by-one.js';
import { gridOverImage, layOutPrompt, type PromptLayout } from '../prompt-layout.js';
import { refusePlaceholders, requirePlaces, type TextProcessor } from '../text-processor.js';
import { type CellImageConfig, makeCellView } from './images.js';
import { IMAGE_PAD, messagesOf, renderAnswer, VIDEO_PAD } from './prompt.js';

/** Merged grid of one view. */
export interface MergedGrid {
  readonly h: number;
  readonly w: number;
}

/** Positions of a sequence, and of the token that would follow. */
export type SequencePositions = Pick<
  PreparedInputsV1,
  'positions' | 'positionRows' | 'nextPosition'
>;

export interface CellContext {
  readonly text: TextProcessor;
  readonly images: CellImageConfig;
  readonly imageTokenId: number;
  /** @param grids merged grid of each view, in order. */
  readonly positions: (inputIds: Int32Array, grids: readonly MergedGrid[]) => SequencePositions;
}

/**
 * Tokenises a conversation, lays its views out and preprocesses their pixels.
 * @throws SpatialError IMAGE_INVALID for an image of extreme shape, DATA_INVALID for text with image placeholders,
 *   FILE_INVALID when the chat template does not place one placeholder per view.
 */
export async function prepareCells(
  context: CellContext,
  conversation: ConversationV1,
): Promise<PreparedInputsV1> {
  const views = await oneByOne(conversation.images, (image) => makeCellView(image, context.images));
  const merge = context.images.mergeSize;
  const grids = views.map(({ layout }) => ({
    h: layout.rows / merge,
    w: layout.columns / merge,
  }));
  const { starts, ...tokens } = await tokenise(context, conversation, grids);
  return {
    ...tokens,
    ...context.positions(tokens.inputIds, grids),
    views,
    grids: viewGrids(starts, grids, conversation.images),
  };
}

/** The prompt with its views, then the answer through its end of turn and newline. */
async function tokenise(
  context: CellContext,
  conversation: ConversationV1,
  grids: readonly MergedGrid[],
): Promise<PromptLayout> {
  const { system, answer } = conversation;
  refusePlaceholders(conversation, [IMAGE_PAD, VIDEO_PAD]);
  const content = contentOf(conversation);
  const messages = messagesOf({ content, ...(system !== undefined && { system }) });
  const prompted = await context.text.render(messages);
  const segments = prompted.split(IMAGE_PAD);
  requirePlaces(segments.length - 1, grids.length);
  return layOutPrompt({
    text: segments.map((segment) => context.text.encode(segment)),
    rows: grids.map(({ h, w }) => h * w),
    placeholderId: context.imageTokenId,
    ...(answer !== undefined && { answer: context.text.encode(renderAnswer(answer)) }),
  });
}

function viewGrids(
  starts: readonly number[],
  grids: readonly MergedGrid[],
  images: readonly RgbImage[],
): readonly ViewGridV1[] {
  return grids.map(({ h, w }, i) => {
    const tokenIndex = Int32Array.from({ length: h * w }, (_, cell) => starts[i]! + cell);
    return gridOverImage({ h, w, tokenIndex, extraIndex: new Int32Array(0) }, images[i]!);
  });
}
