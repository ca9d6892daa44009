/** From images to the pixel values of a vision tower: sizes, normalisation, patches. */
import { SpatialError } from '../errors.js';
import { roundHalfEven } from '../rounding.js';
import type { RgbImage, ViewInputV1 } from '../spec.js';

/** Mean and deviation of each colour in 0..1. */
export interface PixelStatistics {
  readonly mean: readonly number[];
  readonly std: readonly number[];
}

export const CLIP_STATISTICS: PixelStatistics = {
  mean: [0.48145466, 0.4578275, 0.40821073],
  std: [0.26862954, 0.26130258, 0.27577711],
};

export const IMAGENET_STATISTICS: PixelStatistics = {
  mean: [0.485, 0.456, 0.406],
  std: [0.229, 0.224, 0.225],
};

export const HALF_STATISTICS: PixelStatistics = { mean: [0.5, 0.5, 0.5], std: [0.5, 0.5, 0.5] };

const MAX_ASPECT_RATIO = 200;

/** Limits of a resized image. */
export interface CellLimits {
  /** Side of a cell in pixels; sides become multiples of it. */
  readonly cell: number;
  readonly minPixels: number;
  readonly maxPixels: number;
}

/**
 * Size that an image is resized to: whole cells, area within the limits, aspect ratio nearly kept (each axis is scaled by
 * itself).
 * @param name of the image, for messages.
 * @returns [height, width] in pixels.
 * @throws SpatialError IMAGE_INVALID when one side is over 200 times the other.
 */
export function fitToCells(
  height: number,
  width: number,
  { cell, minPixels, maxPixels }: CellLimits,
  name = 'image',
): [number, number] {
  refuseExtremeShape(height, width, name);
  const [rows, columns] = [height, width].map((side) => roundHalfEven(side / cell) * cell);
  const area = rows! * columns!;
  if (area > maxPixels) {
    const beta = Math.sqrt((height * width) / maxPixels);
    const shrink = (side: number) => Math.max(cell, Math.floor(side / beta / cell) * cell);
    return [shrink(height), shrink(width)];
  }
  if (area < minPixels) {
    const beta = Math.sqrt(minPixels / (height * width));
    const grow = (side: number) => Math.ceil((side * beta) / cell) * cell;
    return [grow(height), grow(width)];
  }
  return [rows!, columns!];
}

/** @param name of the image, for messages. @throws SpatialError IMAGE_INVALID when one side is over 200 times the other. */
export function refuseExtremeShape(height: number, width: number, name = 'image'): void {
  if (Math.max(height, width) / Math.min(height, width) <= MAX_ASPECT_RATIO) return;
  throw new SpatialError({
    code: 'IMAGE_INVALID',
    message: `${name} of ${width}×${height} pixels: expected sides within a factor of ${MAX_ASPECT_RATIO}`,
    hint: 'Crop the image, or cut it into several views.',
  });
}

/** (x / 255 − mean) / std of each of the 256 grey levels, by colour. */
export const normalisedLevels = ({ mean, std }: PixelStatistics): readonly Float32Array[] =>
  [0, 1, 2].map((colour) =>
    Float32Array.from({ length: 256 }, (_, level) => (level / 255 - mean[colour]!) / std[colour]!),
  );

export interface PatchOptions extends PixelStatistics {
  /** Side of a patch in pixels. */
  readonly patchSize: number;
  /** Side of a cell in patches; 1, plain row by row, where absent. */
  readonly cellSide?: number;
  /** How often a still image is repeated in a patch; once where absent. */
  readonly frames?: number;
}

/**
 * Normalised patches of an image: cells row by row, the patches of a cell row by row, then colour, frame, pixel row,
 * pixel column. What does not fill a cell at the right and at the bottom is left out, as a convolution with the stride of
 * its kernel leaves it out.
 * @returns (P, 3 · frames · patch²).
 */
export function cutPatches(image: RgbImage, options: PatchOptions): Float32Array {
  const { patchSize, cellSide = 1, frames = 1 } = options;
  const cell = patchSize * cellSide;
  const plane = patchSize * patchSize;
  const [height, width] = [image.height, image.width].map((side) => side - (side % cell)) as [
    number,
    number,
  ];
  const output = new Float32Array(3 * frames * height * width);
  const levels = normalisedLevels(options);
  let offset = 0;
  for (let top = 0; top < height; top += cell) {
    for (let left = 0; left < width; left += cell) {
      for (let patch = 0; patch < cellSide * cellSide; patch++) {
        const y = top + Math.floor(patch / cellSide) * patchSize;
        const x = left + (patch % cellSide) * patchSize;
        for (let colour = 0; colour < 3; colour++) {
          writePlane(image, { x, y, colour, side: patchSize }, levels[colour]!, output, offset);
          for (let frame = 1; frame < frames; frame++) {
            output.copyWithin(offset + frame * plane, offset, offset + plane);
          }
          offset += frames * plane;
        }
      }
    }
  }
  return output;
}

/** Patches of images of one size, one image after the other, as a view's pixel values. */
export function patchesOfImages(
  images: readonly RgbImage[],
  options: PatchOptions,
): Pick<ViewInputV1, 'pixelValues' | 'pixelShape'> {
  const parts = images.map((image) => cutPatches(image, options));
  const values = 3 * (options.frames ?? 1) * options.patchSize ** 2;
  const perImage = parts[0]!.length;
  const pixelValues = new Float32Array(parts.length * perImage);
  for (const [i, part] of parts.entries()) pixelValues.set(part, i * perImage);
  return { pixelValues, pixelShape: [pixelValues.length / values, values] };
}

function writePlane(
  image: RgbImage,
  at: { readonly x: number; readonly y: number; readonly colour: number; readonly side: number },
  levels: Float32Array,
  output: Float32Array,
  offset: number,
): void {
  for (let row = 0; row < at.side; row++) {
    let source = ((at.y + row) * image.width + at.x) * 3 + at.colour;
    for (let column = 0; column < at.side; column++, source += 3) {
      output[offset + row * at.side + column] = levels[image.data[source]!]!;
    }
  }
}
