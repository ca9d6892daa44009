/** From the ids of a conversation to a sequence in which every visual row has its place. */
import type { PreparedInputsV1, RgbImage, ViewGridV1 } from '../spec.js';

/** Label of positions where no loss is taken. */
const IGNORED = -100;

export interface PromptLayoutParts {
  /** Ids before the first view, between views, and behind the last: one stretch more than there are entries in `rows`. */
  readonly text: readonly (readonly number[])[];
  /** Visual rows between the stretches. */
  readonly rows: readonly number[];
  /** Id that stands at the position of every visual row; its embedding is never read. */
  readonly placeholderId: number;
  /** Ids of the answer, which the model is trained to say. */
  readonly answer?: readonly number[];
}

export interface PromptLayout
  extends Pick<PreparedInputsV1, 'inputIds' | 'labels' | 'spliceIndex'> {
  /** Position of the first visual row of each entry of `rows`. */
  readonly starts: readonly number[];
}

/** Lays text and visual rows out in one sequence, the answer behind them as labels. */
export function layOutPrompt(parts: PromptLayoutParts): PromptLayout {
  const { text, rows, placeholderId, answer = [] } = parts;
  const ids: number[] = [];
  const isVisual: boolean[] = [];
  const append = (values: readonly number[], visual: boolean) => {
    for (const value of values) {
      ids.push(value);
      isVisual.push(visual);
    }
  };
  const starts = rows.map((count, i) => {
    append(text[i]!, false);
    const start = ids.length;
    append(new Array<number>(count).fill(placeholderId), true);
    return start;
  });
  append(text[rows.length]!, false);
  const prompt = ids.length;
  append(answer, false);
  const inputIds = Int32Array.from(ids);
  let visual = ids.length;
  return {
    inputIds,
    labels: inputIds.map((id, i) => (i < prompt ? IGNORED : id)),
    spliceIndex: inputIds.map((_, i) => (isVisual[i] ? visual++ : i)),
    starts,
  };
}

/** Ids before, between and behind the places of one id. @returns one stretch more than there are places. */
export function splitIds(ids: readonly number[], separator: number): readonly number[][] {
  const stretches: number[][] = [[]];
  for (const id of ids) {
    if (id === separator) stretches.push([]);
    else stretches.at(-1)!.push(id);
  }
  return stretches;
}

/** Positions of a sequence that counts its tokens one by one. */
export const plainPositions = (
  tokens: number,
): Pick<PreparedInputsV1, 'positions' | 'positionRows' | 'nextPosition'> => ({
  positions: Int32Array.from({ length: tokens }, (_, i) => i),
  positionRows: 1,
  nextPosition: tokens,
});

/** The grid of a view whose cells cover all of its image. */
export const gridOverImage = (
  grid: Pick<ViewGridV1, 'h' | 'w' | 'tokenIndex' | 'extraIndex'>,
  { height, width }: RgbImage,
): ViewGridV1 => ({
  ...grid,
  toImage: { ax: width / grid.w, bx: 0, ay: height / grid.h, by: 0 },
  covered: { x0: 0, y0: 0, x1: width, y1: height },
});
