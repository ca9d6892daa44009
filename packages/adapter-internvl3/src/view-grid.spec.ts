import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { openWeights, type Tensor, tf } from '@spatialsv/core/kit';
import type { BackboneV1, RgbImage, ViewInputV1 } from '@spatialsv/core/spec';
import { internVl3 } from './plugin.js';
import { writeTinyInternVl3 } from './tiny-checkpoint.js';

const CELL = 28;
const TILE = 56;

/** Every pixel of a cell holds the cell's column in red and its row in green. */
const numbered = (columns: number, rows: number): RgbImage => {
  const [width, height] = [columns * CELL, rows * CELL];
  const data = Uint8Array.from({ length: 3 * width * height }, (_, i) => {
    const [x, y] = [Math.floor(i / 3) % width, Math.floor(i / 3 / width)];
    return [Math.floor(x / CELL), Math.floor(y / CELL), 0][i % 3]!;
  });
  return { data, width, height };
};

/** Red grows from left to right, green from top to bottom. */
const ramp = (width: number, height: number): RgbImage => ({
  width,
  height,
  data: Uint8Array.from({ length: 3 * width * height }, (_, i) => {
    const [x, y] = [Math.floor(i / 3) % width, Math.floor(i / 3 / width)];
    return [(255 * x) / (width - 1), (255 * y) / (height - 1), 0][i % 3]!;
  }),
});

const MEAN = [0.485, 0.456];
const STD = [0.229, 0.224];

/** Mean red and green of a visual row: its four patches stand side by side in the pixel values. */
const colourOfRow = ({ pixelValues, pixelShape }: ViewInputV1, row: number): number[] => {
  const values = pixelShape[1]!;
  return [0, 1].map((colour) => {
    let sum = 0;
    for (let patch = 4 * row; patch < 4 * row + 4; patch++)
      for (let i = 0; i < 196; i++) sum += pixelValues[patch * values + colour * 196 + i]!;
    return (sum / 784) * STD[colour]! * 255 + MEAN[colour]! * 255;
  });
};

let folder: string;
let weights: Record<string, Tensor>;

beforeAll(async () => {
  await tf.setBackend('cpu');
  folder = await mkdtemp(path.join(tmpdir(), 'internvl3-grid-'));
  const vision = { depth: 1, hiddenSize: 16, heads: 2, tileSize: TILE };
  await writeTinyInternVl3({ folder, seed: 1, hiddenSize: 16, layers: 1, heads: 2, vision });
  const reader = await openWeights(folder);
  const entries = reader.names.map(async (name) => {
    const shape = [...reader.info(name).shape];
    return [name, tf.tensor(await reader.readFloat32(name), shape)] as const;
  });
  weights = Object.fromEntries(await Promise.all(entries));
});

afterAll(() => rm(folder, { recursive: true }));

const openWith = (settings: Readonly<Record<string, unknown>>) =>
  internVl3.open(folder, { settings });

const prepareOne = async (model: BackboneV1, image: RgbImage) => {
  const { views, grids } = await model.prepare({ images: [image], question: 'x' });
  const [view, grid] = [views[0]!, grids[0]!];
  const start = Math.min(...grid.tokenIndex, ...grid.extraIndex);
  return { view, grid, rows: [...grid.tokenIndex].map((position) => position - start) };
};

describe('the feature grid of a view', () => {
  it.each([
    ['wide', 6, 2, 4],
    ['tall', 2, 8, 4],
    ['of 2 × 3 tiles', 4, 6, 4],
    ['of one tile', 2, 2, 0],
  ])('is row-major, %s', async (_, columns, rows, thumbnail) => {
    const model = await openWith({});
    const { view, grid, rows: order } = await prepareOne(model, numbered(columns, rows));
    expect(grid).toMatchObject({ h: rows, w: columns });
    expect(grid.extraIndex).toHaveLength(thumbnail);
    expect(grid.toImage).toEqual({ ax: CELL, bx: 0, ay: CELL, by: 0 });
    order.forEach((row, cell) => {
      const colour = colourOfRow(view, row).map((value) => Math.abs(Math.round(value)));
      expect(colour).toEqual([cell % columns, Math.floor(cell / columns)]);
    });
  });

  it.each([
    ['tiny, one tile', [7, 5], { maxTiles: 1 }],
    ['tiny, many tiles', [7, 5], { maxTiles: 12 }],
    ['tall', [60, 170], { maxTiles: 6 }],
    ['wide, as a thumbnail', [170, 60], { maxTiles: 6, grid: 'thumbnail' }],
  ] as const)(
    'goes from left to right and from top to bottom, %s',
    async (_, [width, height], settings) => {
      const model = await openWith(settings);
      const { view, grid, rows } = await prepareOne(model, ramp(width, height));
      const colours = rows.map((row) => colourOfRow(view, row));
      expect(grid.covered).toEqual({ x0: 0, y0: 0, x1: width, y1: height });
      expect(grid.toImage.ax * grid.w).toBeCloseTo(width);
      expect(grid.toImage.ay * grid.h).toBeCloseTo(height);
      colours.forEach(([red, green], cell) => {
        if (cell % grid.w > 0) expect(red).toBeGreaterThan(colours[cell - 1]![0]!);
        if (cell >= grid.w) expect(green).toBeGreaterThan(colours[cell - grid.w]![1]!);
      });
    },
  );

  it('has the rows of the projector and the states of the tower at its cells', async () => {
    for (const grid of ['tiles', 'thumbnail']) {
      const model = await openWith({ maxTiles: 6, grid });
      const {
        view,
        grid: { h, w },
        rows,
      } = await prepareOne(model, numbered(6, 4));
      const pixels = tf.tensor(view.pixelValues, [...view.pixelShape]);
      const { features, states } = model.encodeView(weights, pixels, view.layout, [0, 1]);
      const projected = model.projectView(weights, features, view.layout);
      expect(states[1]!.shape).toEqual([4 * h * w, 16]);
      // The four patches of every cell, from states that are row-major over the view.
      const patches = Array.from({ length: h * w }, (_, cell) => {
        const [top, left] = [2 * Math.floor(cell / w), 2 * (cell % w)];
        return [0, 1, 2, 3].map((i) => (top + (i >> 1)) * 2 * w + left + (i & 1));
      });
      const cells = tf.gather(states[1]!, patches.flat());
      const expected = model.projectView(weights, cells, view.layout);
      const found = tf.gather(projected, rows);
      expect(tf.max(tf.abs(tf.sub(found, expected))).dataSync()[0]).toBeLessThan(1e-5);
    }
  });

  it('is told apart by the key of its layout', async () => {
    const keyOf = async (settings: Readonly<Record<string, unknown>>, image: RgbImage) =>
      (await prepareOne(await openWith(settings), image)).view.layout.key;
    const wide = numbered(6, 2);
    const keys = [
      await keyOf({}, wide),
      await keyOf({ grid: 'thumbnail' }, wide),
      await keyOf({ maxTiles: 1 }, wide),
      await keyOf({}, numbered(2, 6)),
    ];
    expect(new Set(keys).size).toBe(4);
  });
});

describe('tiles of several views', () => {
  it('are one each unless the settings say otherwise', async () => {
    const images = [numbered(6, 2), numbered(2, 6)];
    const gridsOf = async (settings: Readonly<Record<string, unknown>>) => {
      const { grids } = await (await openWith(settings)).prepare({ images, question: 'x' });
      return grids.map(({ h, w }) => [h, w]);
    };
    expect(await gridsOf({})).toEqual([
      [2, 2],
      [2, 2],
    ]);
    expect(await gridsOf({ maxTiles: 3 })).toEqual([
      [2, 6],
      [6, 2],
    ]);
  });
});
