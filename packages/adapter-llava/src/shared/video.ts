import { layOutPrompt, oneByOne, type PixelWindow, plainPositions } from '@spatialsv/core/kit';
import type {
  PreparedInputsV1,
  RgbImage,
  ViewGridV1,
  ViewInputV1,
  ViewLayoutV1,
} from '@spatialsv/core/spec';
import { type FrameConfig, type FrameGrid, makeFrame, placeGrid } from './frames.js';

/** Where newlines stand: after each row of a frame's grid, after each frame, behind the last frame, nowhere. */
export type NewlinePosition = 'grid' | 'frame' | 'one_token' | 'no_token';

export interface VideoConfig {
  readonly frame: FrameConfig;
  /** Cells of a frame. */
  readonly grid: FrameGrid;
  readonly newline: NewlinePosition;
  /** Named in the key of every layout: what else the program of a view depends on. */
  readonly key: string;
}

export interface FrameLayout extends ViewLayoutV1 {
  /** Whether the video ends with this frame. */
  readonly isLast: boolean;
}

/** Text around a video. */
export interface VideoPrompt {
  /** Ids before the video, and behind it; one stretch where there are no views. */
  readonly text: readonly (readonly number[])[];
  readonly answer?: readonly number[];
  readonly placeholderId: number;
}

/** Newlines behind a frame, those inside its grid left out. */
export const endsWithNewline = ({ newline }: VideoConfig, { isLast }: FrameLayout): boolean =>
  newline === 'frame' || (newline === 'one_token' && isLast);

/** Visual rows of one frame. */
const frameRows = (config: VideoConfig, layout: FrameLayout): number =>
  config.grid.side * rowLength(config) + (endsWithNewline(config, layout) ? 1 : 0);

/** Visual rows of one row of the grid. */
const rowLength = ({ grid, newline }: VideoConfig): number =>
  grid.side + (newline === 'grid' ? 1 : 0);

/** Layout of frame `index` of `count`. Only a newline behind the video makes the last frame another one. */
function frameLayout(config: VideoConfig, index: number, count: number): FrameLayout {
  const isLast = index === count - 1;
  const { fit, size } = config.frame;
  const key = `${fit}-${size}-${config.key}-${config.newline}`;
  return { key: isLast && config.newline === 'one_token' ? `${key}-last` : key, isLast };
}

/**
 * Preprocesses the views of a conversation and lays them out in its prompt.
 * @throws SpatialError IMAGE_INVALID for a view of extreme shape.
 */
export async function layOutVideo(
  config: VideoConfig,
  images: readonly RgbImage[],
  { text, answer, placeholderId }: VideoPrompt,
): Promise<PreparedInputsV1> {
  const layouts = images.map((_, i) => frameLayout(config, i, images.length));
  const rows = layouts.map((layout) => frameRows(config, layout));
  const total = rows.reduce((sum, count) => sum + count, 0);
  const { starts, ...tokens } = layOutPrompt({
    text,
    rows: images.length === 0 ? [] : [total],
    placeholderId,
    ...(answer !== undefined && { answer }),
  });
  let first = starts[0] ?? 0;
  const frames = await oneByOne(images, (image, i) => {
    const { window, ...pixels } = makeFrame(image, config.frame);
    const view: ViewInputV1 = { ...pixels, layout: layouts[i]! };
    const grid = viewGrid(config, { first, rows: rows[i]!, window, image });
    first += rows[i]!;
    return { view, grid };
  });
  return {
    ...tokens,
    ...plainPositions(tokens.inputIds.length),
    views: frames.map(({ view }) => view),
    grids: frames.map(({ grid }) => grid),
  };
}

interface PlacedFrame {
  /** Position of its first row in the sequence. */
  readonly first: number;
  readonly rows: number;
  readonly window: PixelWindow;
  readonly image: RgbImage;
}

function viewGrid(config: VideoConfig, frame: PlacedFrame): ViewGridV1 {
  const { side } = config.grid;
  const length = rowLength(config);
  const isCell = (row: number) => row < side * length && row % length < side;
  const positions = Array.from({ length: frame.rows }, (_, row) => row);
  const at = (kept: readonly number[]) => Int32Array.from(kept, (row) => frame.first + row);
  return {
    h: side,
    w: side,
    tokenIndex: at(positions.filter(isCell)),
    extraIndex: at(positions.filter((row) => !isCell(row))),
    ...placeGrid(config.grid, frame.window, frame.image),
  };
}
