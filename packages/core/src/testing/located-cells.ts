/** Where the cells of a view's grid get what they see from. */
import { type Tensor, tf } from '@spatialsv/engine';
import type { PixelStatistics } from '../kit/image-processor.js';
import { openWeights } from '../safetensors/index.js';
import type { BackboneV1, Parameters, RgbImage, ViewGridV1, ViewInputV1 } from '../spec.js';

/** An image whose red grows with the column and whose green grows with the row, from 0 to 255. */
export const rampImage = (width: number, height: number): RgbImage => {
  const data = new Uint8Array(3 * width * height).fill(128);
  for (let i = 0; i < width * height; i++) {
    data[3 * i] = Math.round((255 * ((i % width) + 0.5)) / width);
    data[3 * i + 1] = Math.round((255 * (Math.floor(i / width) + 0.5)) / height);
  }
  return { data, width, height };
};

/** A cell of a grid: the pixel of the image where its patches lie, and where `toImage` says that it lies, in cells. */
export interface LocatedCell {
  readonly row: number;
  readonly column: number;
  /** Row and column of the patches behind the visual row at the cell's position, by `toImage`. */
  readonly foundRow: number;
  readonly foundColumn: number;
}

/** Every weight of an opened folder as a tensor. */
export const readWeights = async (folder: string): Promise<Parameters> => {
  const reader = await openWeights(folder);
  const entries = reader.names.map(async (name) => {
    const shape = [...reader.info(name).shape];
    return [name, tf.tensor(await reader.readFloat32(name), shape)] as const;
  });
  return Object.fromEntries(await Promise.all(entries));
};

/**
 * Finds the patches behind each cell: those whose features change the cell's row of the projector. Their place in the image
 * is read from their colours, which are those of {@link rampImage}.
 * @param parameters by published name.
 * @param statistics with which the backbone normalises pixels.
 */
export const locateCells = (
  backbone: BackboneV1,
  parameters: Parameters,
  { view, grid, image }: { view: ViewInputV1; grid: ViewGridV1; image: RgbImage },
  statistics: PixelStatistics,
): readonly LocatedCell[] => {
  const places = patchPlaces(view, image, statistics);
  const shares = sharesOfPatches(backbone, parameters, view);
  const positions = [...grid.tokenIndex, ...grid.extraIndex].sort((a, b) => a - b);
  const { ax, bx, ay, by } = grid.toImage;
  return Array.from(grid.tokenIndex, (position, cell) => {
    const [x, y] = meanPlace(places, shares, positions.indexOf(position));
    return {
      row: Math.floor(cell / grid.w),
      column: cell % grid.w,
      foundRow: (y - by) / ay - 0.5,
      foundColumn: (x - bx) / ax - 0.5,
    };
  });
};

/** Pixel (x, y) of the image at the middle of each patch. */
const patchPlaces = (
  { pixelValues, pixelShape }: ViewInputV1,
  { width, height }: RgbImage,
  { mean, std }: PixelStatistics,
): readonly (readonly [number, number])[] => {
  const [patches, values] = pixelShape as [number, number];
  const level = (patch: number, colour: number) => {
    const first = patch * values + (colour * values) / 3;
    const plane = pixelValues.subarray(first, first + values / 3);
    const average = plane.reduce((sum, value) => sum + value, 0) / plane.length;
    return average * std[colour]! + mean[colour]!;
  };
  return Array.from({ length: patches }, (_, patch) => [
    width * level(patch, 0),
    height * level(patch, 1),
  ]);
};

/** How much each visual row depends on each patch. */
const sharesOfPatches = (
  backbone: BackboneV1,
  parameters: Parameters,
  { pixelValues, pixelShape, layout }: ViewInputV1,
): readonly Float32Array[] => {
  const pixels = tf.tensor(pixelValues, [...pixelShape]);
  const { features } = backbone.encodeView(parameters, pixels, layout);
  const [patches, width] = features.shape as [number, number];
  const rowsOf = (x: Tensor) => backbone.projectView(parameters, x, layout);
  const before = rowsOf(features);
  return Array.from({ length: patches }, (_, patch) =>
    tf.tidy(() => {
      const hot = tf.oneHot(tf.tensor1d([patch], 'int32'), patches);
      const bump = tf.matMul(hot as tf.Tensor2D, tf.ones([1, width]), true, false);
      const change = tf.sub(rowsOf(tf.add(features, bump)), before);
      return tf.norm(change, 'euclidean', 1).dataSync<'float32'>() as Float32Array;
    }),
  );
};

const meanPlace = (
  places: readonly (readonly [number, number])[],
  shares: readonly Float32Array[],
  row: number,
): readonly [number, number] => {
  let [x, y, total] = [0, 0, 0];
  for (const [patch, place] of places.entries()) {
    const share = shares[patch]![row]!;
    x += share * place[0];
    y += share * place[1];
    total += share;
  }
  return [x / total, y / total];
};
