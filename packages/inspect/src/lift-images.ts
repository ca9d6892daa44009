/** Images of stored lifts. */
import { colorize, type ValueRange, valueRange } from './color-map.js';
import type { CaseImage } from './figures/case-figure.js';
import { rgbPng } from './images.js';
import type { StoredLift } from './lift-file.js';

/** A range of depths that lifts of the same views share, with that of their labels. */
export function depthRangeOf(lifts: readonly StoredLift[]): ValueRange {
  const ranges = lifts.flatMap(({ predictions, labels }) => [
    valueRange(predictions.depth),
    ...(labels ? [valueRange(labels.depth, labels.mask)] : []),
  ]);
  return {
    min: Math.min(...ranges.map(({ min }) => min)),
    max: Math.max(...ranges.map(({ max }) => max)),
  };
}

interface DepthMaps {
  readonly views: number;
  readonly height: number;
  readonly width: number;
  readonly depth: Float32Array;
  /** 1 where depth is valid; everywhere where absent. */
  readonly mask?: Uint8Array;
  /** Width divided by height of the views. */
  readonly aspects: readonly number[];
}

/** Depth of every view in colours, near is warm, grey is not valid. */
export async function colorizedPng(maps: DepthMaps, range: ValueRange): Promise<CaseImage[]> {
  const { height, width, depth, mask, aspects } = maps;
  const pixels = height * width;
  const images: CaseImage[] = [];
  for (const [view, aspect] of aspects.entries()) {
    const [from, to] = [view * pixels, (view + 1) * pixels];
    const options = { range, reverse: true, mask: mask?.subarray(from, to) };
    const bytes = await rgbPng(colorize(depth.subarray(from, to), height, width, options));
    images.push({ kind: 'png', bytes, aspect });
  }
  return images;
}
