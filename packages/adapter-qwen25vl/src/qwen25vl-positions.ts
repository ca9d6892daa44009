import type { MergedGrid, SequencePositions } from '@spatialsv/core/kit';

/**
 * M-RoPE positions of text and still images. A text token takes the counter p in all three rows; an image that starts
 * at p gives its cell (r, c) the triple (p, p + r, p + c) and moves the counter on by max(h, w).
 * @param inputIds (T) with every image as h·w consecutive placeholders.
 * @param grids merged grid of each image, in order.
 * @returns (3, T) int32: time, row, column.
 */
export function mropePositions(
  inputIds: Int32Array,
  imageTokenId: number,
  grids: readonly MergedGrid[],
): SequencePositions {
  const tokens = inputIds.length;
  const positions = new Int32Array(3 * tokens);
  let counter = 0;
  let image = 0;
  for (let token = 0; token < tokens; ) {
    const isImage = inputIds[token] === imageTokenId;
    const { h, w } = isImage ? grids[image++]! : { h: 1, w: 1 };
    for (let cell = 0; cell < h * w; cell++, token++) {
      positions[token] = counter;
      positions[tokens + token] = counter + Math.floor(cell / w);
      positions[2 * tokens + token] = counter + (cell % w);
    }
    counter += Math.max(h, w);
  }
  return { positions, positionRows: 3, nextPosition: counter };
}
