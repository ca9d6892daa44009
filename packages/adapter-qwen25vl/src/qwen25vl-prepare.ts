import { setImmediate } from 'node:timers/promises';
import {
  layOutPrompt,
  type PromptLayout,
  refusePlaceholders,
  type TextProcessor,
} from '@spatialsv/core/kit';
import {
  type ConversationV1,
  type PreparedInputsV1,
  type RgbImage,
  SpatialError,
  type ViewGridV1,
} from '@spatialsv/core/spec';
import {
  type ImageProcessorConfig,
  type PatchedView,
  processImage,
} from './qwen25vl-image-processor.js';
import { type MergedGrid, mropePositions } from './qwen25vl-positions.js';
import { IMAGE_PAD, messagesOf, renderAnswer, VIDEO_PAD } from './qwen25vl-prompt.js';

export interface PrepareContext {
  readonly text: TextProcessor;
  readonly imageProcessor: ImageProcessorConfig;
  readonly imageTokenId: number;
}

/**
 * Tokenises a conversation, lays its views out and preprocesses their pixels.
 * @throws SpatialError IMAGE_INVALID for an image of extreme shape, DATA_INVALID for text with image placeholders,
 *   FILE_INVALID when the chat template does not place one placeholder per view.
 */
export async function prepareConversation(
  context: PrepareContext,
  conversation: ConversationV1,
): Promise<PreparedInputsV1> {
  const views: PatchedView[] = [];
  for (const image of conversation.images) {
    views.push(processImage(image, context.imageProcessor));
    await setImmediate(); // Lets other work run between views.
  }
  const merge = context.imageProcessor.mergeSize;
  const grids = views.map(({ layout }) => ({
    h: layout.rows / merge,
    w: layout.columns / merge,
  }));
  const { starts, ...tokens } = await tokenise(context, conversation, grids);
  return {
    ...tokens,
    ...mropePositions(tokens.inputIds, context.imageTokenId, grids),
    positionRows: 3,
    views,
    grids: viewGrids(starts, grids, conversation.images),
  };
}

/** The prompt with its views, then the answer through its end of turn and newline. */
async function tokenise(
  context: PrepareContext,
  conversation: ConversationV1,
  grids: readonly MergedGrid[],
): Promise<PromptLayout> {
  const { question, system, answer } = conversation;
  for (const [what, text] of Object.entries({ question, system, answer })) {
    if (text !== undefined) refusePlaceholders(what, text, [IMAGE_PAD, VIDEO_PAD]);
  }
  const parts = { question, images: grids.length, ...(system === undefined ? {} : { system }) };
  const prompted = await context.text.render(messagesOf(parts));
  const segments = prompted.split(IMAGE_PAD);
  requireSegments(segments.length - 1, grids.length);
  return layOutPrompt({
    text: segments.map((segment) => context.text.encode(segment)),
    rows: grids.map(({ h, w }) => h * w),
    placeholderId: context.imageTokenId,
    ...(answer !== undefined && { answer: context.text.encode(renderAnswer(answer)) }),
  });
}

function requireSegments(found: number, expected: number): void {
  if (found === expected) return;
  throw new SpatialError({
    code: 'FILE_INVALID',
    message: `chat template: expected ${expected} image placeholders for ${expected} views, found ${found}`,
    hint: 'Restore the chat template published with the checkpoint.',
  });
}

function viewGrids(
  starts: readonly number[],
  grids: readonly MergedGrid[],
  images: readonly RgbImage[],
): readonly ViewGridV1[] {
  return grids.map(({ h, w }, i) => {
    const { height, width } = images[i]!;
    const first = starts[i]!;
    return {
      h,
      w,
      tokenIndex: Int32Array.from({ length: h * w }, (_, cell) => first + cell),
      extraIndex: new Int32Array(0),
      toImage: { ax: width / w, bx: 0, ay: height / h, by: 0 },
      covered: { x0: 0, y0: 0, x1: width, y1: height },
    };
  });
}
