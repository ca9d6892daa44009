/** Views as frames of one size: pixels, and where the cells of a frame lie in its view. */
import {
  cutMiddle,
  cutPatches,
  type PixelStatistics,
  type PixelWindow,
  refuseExtremeShape,
  resizeBicubic,
  wholeImage,
} from '@spatialsv/core/kit';
import type { RgbImage, ViewGridV1, ViewInputV1 } from '@spatialsv/core/spec';

/**
 * `crop`: the shorter side becomes that of the frame, and the middle is kept. `squash`: each side becomes that of the
 * frame, aspect ratio not kept.
 */
export type FrameFit = 'crop' | 'squash';

export interface FrameConfig extends PixelStatistics {
  /** Side in pixels. */
  readonly size: number;
  readonly patchSize: number;
  readonly fit: FrameFit;
}

export interface Frame extends Pick<ViewInputV1, 'pixelValues' | 'pixelShape'> {
  /** Rectangle of the whole view in pixels of the frame; reaches outside where something was cut off. */
  readonly window: PixelWindow;
}

/**
 * Pixel values of a view: Pillow's bicubic, (x / 255 − mean) / std, patches row by row.
 * @returns (P, 3 · patch²) float32, colours slowest; a rest that fills no patch is left out.
 * @throws SpatialError IMAGE_INVALID when one side is over 200 times the other.
 */
export function makeFrame(image: RgbImage, config: FrameConfig): Frame {
  const { size, patchSize } = config;
  refuseExtremeShape(image.height, image.width, image.path);
  const [height, width] = config.fit === 'squash' ? [size, size] : shortestTo(size, image);
  const resized = resizeBicubic(image, width, height);
  const { image: pixels, window } = cutMiddle(wholeImage(resized), size, size);
  const side = Math.floor(size / patchSize);
  return {
    pixelValues: cutPatches(pixels, config),
    pixelShape: [side * side, 3 * patchSize ** 2],
    window,
  };
}

/** [height, width]: the shorter side as given, the longer one in proportion, rounded down. */
function shortestTo(size: number, { height, width }: RgbImage): [number, number] {
  const long = (side: number, short: number) => Math.trunc((size * side) / short);
  return height <= width ? [size, long(width, height)] : [long(height, width), size];
}

/** A square grid of cells over a frame, from its top left corner on. */
export interface FrameGrid {
  /** Cells along one side. */
  readonly side: number;
  /** Side of a cell in pixels of the frame. */
  readonly cell: number;
}

/** Where the cells lie in the view that the frame was made from. */
export function placeGrid(
  { side, cell }: FrameGrid,
  window: PixelWindow,
  image: RgbImage,
): Pick<ViewGridV1, 'toImage' | 'covered'> {
  const scaleX = image.width / (window.x1 - window.x0);
  const scaleY = image.height / (window.y1 - window.y0);
  // Adding zero makes −0 the 0 that it is in JSON.
  const [left, top] = [-window.x0 * scaleX + 0, -window.y0 * scaleY + 0];
  const [ax, ay] = [cell * scaleX, cell * scaleY];
  return {
    toImage: { ax, bx: left, ay, by: top },
    covered: { x0: left, y0: top, x1: left + side * ax, y1: top + side * ay },
  };
}
