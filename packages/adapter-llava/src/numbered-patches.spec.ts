import { tf } from '@spatialsv/core/kit';
import type {
  BackboneAdapterV1,
  Parameters,
  PreparedInputsV1,
  RgbImage,
  ViewInputV1,
} from '@spatialsv/core/spec';
import { withTemporaryFolder } from '@spatialsv/core/testing';
import { llavaNextVideo } from './next-video/adapter.js';
import { writeTinyNextVideo } from './next-video/tiny-checkpoint.js';
import { llavaNextVideoSiglip } from './next-video-siglip/adapter.js';
import { writeTinyNextVideoSiglip } from './next-video-siglip/tiny-checkpoint.js';
import type { NextVideoTinyOptions } from './shared/tiny-tower.js';

/** Width of tower and decoder, so that a projector can be the identity. */
const WIDTH = 32;
/** Features of 10 and more pass the GELU unchanged. */
const OFFSET = 10;
const NEWLINE = -7;

/** Red grows with the column, green with the row. */
const ramp = (width: number, height: number): RgbImage => ({
  width,
  height,
  data: Uint8Array.from({ length: 3 * width * height }, (_, i) => {
    const [x, y] = [Math.floor(i / 3) % width, Math.floor(i / 3 / width)];
    return Math.round([(255 * x) / (width - 1), (255 * y) / (height - 1), 0][i % 3]!);
  }),
});

const IMAGES = { tall: ramp(75, 240), wide: ramp(200, 97), tiny: ramp(9, 7), even: ramp(112, 112) };

/** Features of patches that say where they lie: mean red and green, in the statistics of the frame. */
const numberedFeatures = ({ pixelValues, pixelShape }: ViewInputV1) => {
  const [patches, values] = pixelShape as [number, number];
  const plane = values / 3;
  const mean = (patch: number, colour: number) => {
    const first = patch * values + colour * plane;
    return pixelValues.subarray(first, first + plane).reduce((sum, v) => sum + v, 0) / plane;
  };
  const rows = Array.from({ length: patches }, (_, patch) =>
    Array.from({ length: WIDTH }, (_, c) => (c < 2 ? OFFSET + mean(patch, c) : OFFSET)),
  );
  return tf.tensor2d(rows, [patches, WIDTH]);
};

/** Projector and newline that pass features on. */
const identity = (weights: Readonly<Record<string, { readonly shape: readonly number[] }>>) =>
  Object.fromEntries(
    Object.entries(weights).map(([name, { shape }]) => {
      if (name.endsWith('image_newline')) return [name, tf.fill([...shape], NEWLINE)];
      return [name, shape.length === 2 ? tf.eye(shape[0]!) : tf.zeros([...shape])];
    }),
  ) as Parameters;

/** The visual row that stands at a position of the sequence, among all rows of all views. */
const rowAt = ({ spliceIndex, inputIds }: PreparedInputsV1, position: number): number =>
  spliceIndex[position]! - inputIds.length;

interface Case {
  readonly name: string;
  readonly adapter: BackboneAdapterV1;
  readonly writeTiny: (options: NextVideoTinyOptions) => Promise<void>;
  readonly settings?: Record<string, unknown>;
  readonly mean: readonly number[];
  readonly std: readonly number[];
}

const CLIP = { mean: [0.48145466, 0.4578275], std: [0.26862954, 0.26130258] };
const HALF = { mean: [0.5, 0.5], std: [0.5, 0.5] };
const next = { adapter: llavaNextVideo, writeTiny: writeTinyNextVideo, ...CLIP };
const siglip = { adapter: llavaNextVideoSiglip, writeTiny: writeTinyNextVideoSiglip, ...HALF };

const CASES: readonly Case[] = [
  { name: 'CLIP, crop', ...next },
  { name: 'CLIP, squash', ...next, settings: { frame: 'squash' } },
  ...['bilinear', 'average', 'max'].flatMap((pool) =>
    ['grid', 'frame', 'one_token', 'no_token'].map((newline) => ({
      name: `SigLIP, ${pool}, ${newline}`,
      ...siglip,
      settings: { pool, newline },
    })),
  ),
];

beforeAll(() => tf.setBackend('cpu'));

it.each(CASES)(
  'cells of $name lie row by row where the grid says',
  ({ adapter, writeTiny, settings, mean, std }) =>
    withTemporaryFolder(async (folder) => {
      const vision = { depth: 2, hiddenSize: WIDTH, heads: 2 };
      await writeTiny({ folder, seed: 1, hiddenSize: WIDTH, layers: 1, vision });
      const model = await adapter.open(folder, settings === undefined ? {} : { settings });
      const images = Object.values(IMAGES);
      const inputs = await model.prepare({ images, question: 'Where?' });
      const projector = Object.entries(model.weights).filter(
        ([name]) => model.parameterGroup(name) === 'projector',
      );
      const parameters = identity(Object.fromEntries(projector));
      const rows = inputs.views.flatMap((view) => {
        const projected = model.projectView(parameters, numberedFeatures(view), view.layout);
        return projected.arraySync() as number[][];
      });
      const level = (row: readonly number[], colour: number) =>
        255 * ((row[colour]! - OFFSET) * std[colour]! + mean[colour]!);
      const isMax = settings?.['pool'] === 'max';
      for (const [view, { h, w, tokenIndex, extraIndex, toImage }] of inputs.grids.entries()) {
        const image = images[view]!;
        for (const [cell, position] of tokenIndex.entries()) {
          const row = rows[rowAt(inputs, position)]!;
          const x = toImage.ax * ((cell % w) + 0.5) + toImage.bx;
          const y = toImage.ay * (Math.floor(cell / w) + 0.5) + toImage.by;
          const expected = [
            (255 * (x - 0.5)) / (image.width - 1),
            (255 * (y - 0.5)) / (image.height - 1),
          ];
          // The largest patch of a cell lies half a patch further; steps of tiny images are coarse.
          const further = [toImage.ax / 4 / image.width, toImage.ay / 4 / image.height];
          const slack = [3 + 160 / image.width, 3 + 160 / image.height];
          for (const axis of [0, 1]) {
            const shift = isMax ? 255 * further[axis]! : 0;
            const found = level(row, axis) - shift;
            expect(Math.abs(found - expected[axis]!)).toBeLessThan(slack[axis]!);
          }
        }
        expect(tokenIndex).toHaveLength(h * w);
        for (const position of extraIndex)
          expect(rows[rowAt(inputs, position)]!.every((value) => value === NEWLINE)).toBe(true);
      }
      const newlines = inputs.grids.map(({ extraIndex }) => extraIndex.length);
      const side = inputs.grids[0]!.h;
      const perView = { grid: [side, side], frame: [1, 1], one_token: [0, 1] };
      const [each, last] = perView[settings?.['newline'] as 'grid'] ?? [0, 0];
      expect(newlines).toEqual([each, each, each, last]);
    }),
);
