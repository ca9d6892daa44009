import {
  contentOf,
  gridOverImage,
  layOutPrompt,
  oneByOne,
  type PromptLayout,
  plainPositions,
  refusePlaceholders,
  type TextCodec,
  type TextProcessor,
} from '@spatialsv/core/kit';
import type { ConversationV1, PreparedInputsV1, RgbImage, ViewGridV1 } from '@spatialsv/core/spec';
import { cellsPerSide, type InternVl3Config } from './internvl3-config.js';
import {
  processImage,
  type TiledView,
  type TileLayout,
  tilesOf,
} from './internvl3-image-processor.js';
import {
  messagesOf,
  originalPrompt,
  PLACEHOLDERS,
  type PromptParts,
  renderAnswer,
  splitAtViews,
} from './internvl3-prompt.js';
import type { InternVl3Settings } from './internvl3-settings.js';
import type { TilingConfig } from './tiling.js';

export interface PrepareContext {
  readonly config: InternVl3Config;
  /** With the checkpoint's own template; original checkpoints have none. */
  readonly text: TextCodec & Partial<TextProcessor>;
  readonly tiling: TilingConfig;
  readonly settings: InternVl3Settings;
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
  const views = await processViews(context, conversation.images);
  const cells = cellsPerSide(context.config.vision);
  const { starts, ...tokens } = await layOut(context, conversation, views);
  return {
    ...tokens,
    ...plainPositions(tokens.inputIds.length),
    views,
    grids: views.map(({ layout }, i) =>
      viewGrid(layout, cells, starts[i]!, conversation.images[i]!),
    ),
  };
}

function processViews(
  { config, tiling, settings }: PrepareContext,
  images: readonly RgbImage[],
): Promise<readonly TiledView[]> {
  const most = settings.maxTiles ?? (images.length > 1 ? 1 : tiling.maxTiles);
  const limits = { ...tiling, maxTiles: most, minTiles: Math.min(tiling.minTiles, most) };
  const { size } = config.vision.tower.patch;
  return oneByOne(images, (image) => processImage(image, limits, size, settings.grid));
}

/** The prompt with its views, then the answer through its end of turn. */
async function layOut(
  context: PrepareContext,
  conversation: ConversationV1,
  views: readonly TiledView[],
): Promise<PromptLayout> {
  refusePlaceholders(conversation, PLACEHOLDERS);
  const { system, answer } = conversation;
  const { config, text, settings, imageTokenId } = context;
  const isNumbered = settings.numberImages ?? config.layout === 'original';
  const areFirst = conversation.parts === undefined;
  const areNumbered = isNumbered && areFirst && views.length > 1;
  const parts = { content: contentOf(conversation), areFirst, areNumbered };
  const given = { ...parts, ...(system !== undefined && { system }) };
  const texts = await promptTexts(context, given, views.length);
  const perTile = cellsPerSide(config.vision) ** 2;
  return layOutPrompt({
    text: texts.map((stretch) => text.encode(stretch)),
    rows: views.map(({ layout }) => tilesOf(layout) * perTile),
    placeholderId: imageTokenId,
    ...(answer !== undefined && { answer: text.encode(renderAnswer(answer)) }),
  });
}

/** The texts before, between and behind the views. */
async function promptTexts(
  { config, text: { render } }: PrepareContext,
  parts: PromptParts,
  views: number,
): Promise<readonly string[]> {
  if (render === undefined) return originalPrompt(parts, config.original?.system);
  return splitAtViews(await render(messagesOf(parts)), views);
}

/**
 * The feature grid of a view: the cells of all tiles side by side, or those of the thumbnail, which come last.
 * @param cells of one tile along a side. @param start position of the first visual token.
 */
function viewGrid(layout: TileLayout, cells: number, start: number, image: RgbImage): ViewGridV1 {
  const tiled = stitched(layout, cells, start);
  const length = layout.hasThumbnail ? cells * cells : 0;
  const thumbnail = Int32Array.from({ length }, (_, cell) => start + tiled.length + cell);
  const isTiled = layout.grid === 'tiles';
  const [rows, columns] = isTiled ? [layout.rows, layout.columns] : [1, 1];
  const tokenIndex = isTiled ? tiled : thumbnail;
  const extraIndex = isTiled ? thumbnail : tiled.sort();
  return gridOverImage({ h: rows * cells, w: columns * cells, tokenIndex, extraIndex }, image);
}

/** Positions of the cells of all tiles, row-major over the whole view. Tiles come row by row, each with its own cells. */
function stitched({ rows, columns }: TileLayout, cells: number, start: number): Int32Array {
  const w = columns * cells;
  return Int32Array.from({ length: rows * cells * w }, (_, cell) => {
    const [row, column] = [Math.floor(cell / w), cell % w];
    const tile = Math.floor(row / cells) * columns + Math.floor(column / cells);
    return start + tile * cells * cells + (row % cells) * cells + (column % cells);
  });
}
