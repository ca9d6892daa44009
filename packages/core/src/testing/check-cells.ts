/** Whether the cells of a view's grid see what lies at their place in the image, for images of any shape. */
import assert from 'node:assert/strict';
import {
  type CompiledProgram,
  compile,
  type DeviceTensor,
  float32,
  type Tensor,
} from '@spatialsv/engine';
import { createRandom } from '../random.js';
import type { BackboneV1, Parameters, RgbImage, ViewGridV1, ViewInputV1 } from '../spec.js';

/** [width, height] of a tall, a wide and a tiny image. */
const SHAPES = [
  [84, 224],
  [224, 84],
  [24, 20],
] as const;

/** Every cell that is tried is the one whose row changes most when its place in the image is painted over. */
export const checkCells = async (backbone: BackboneV1, question: string): Promise<void> => {
  for (const [width, height] of SHAPES) {
    const image = greyNoise(width, height);
    const base = await prepareOne(backbone, image, question);
    const program = await compileRows(backbone, base.view);
    const before = await rowsOf(program, base.view);
    for (const cell of triedCells(base.grid)) {
      const painted = await prepareOne(backbone, paintCell(image, base.grid, cell), question);
      assert.equal(painted.view.layout.key, base.view.layout.key, 'the layout follows the content');
      const after = await rowsOf(program, painted.view);
      const found = mostChanged(base.grid, before, after, backbone.config.hiddenSize);
      const [expected, seen] = [cell, found].map(
        (c) => `row ${Math.floor(c / base.grid.w)}, column ${c % base.grid.w}`,
      );
      assert.equal(
        seen,
        expected,
        `of ${base.grid.h} × ${base.grid.w} cells of an image of ${width} × ${height}`,
      );
    }
    await program.dispose();
  }
};

const greyNoise = (width: number, height: number): RgbImage => {
  const random = createRandom(3);
  const data = Uint8Array.from({ length: 3 * width * height }, () => 96 + random.integer(64));
  return { data, width, height };
};

const prepareOne = async (backbone: BackboneV1, image: RgbImage, question: string) => {
  const { views, grids } = await backbone.prepare({ images: [image], question });
  return { view: views[0]!, grid: grids[0]! };
};

/** Two corners that a swap of rows and columns exchanges, and a cell in the middle. */
const triedCells = ({ h, w }: ViewGridV1): readonly number[] => [
  ...new Set([w - 1, (h - 1) * w, Math.floor(h / 2) * w + Math.floor(w / 3)]),
];

/** The image with the place of a cell painted white. */
const paintCell = (image: RgbImage, { w, toImage }: ViewGridV1, cell: number): RgbImage => {
  const { ax, bx, ay, by } = toImage;
  const [row, column] = [Math.floor(cell / w), cell % w];
  const [left, right] = [column, column + 1].map((c) => Math.round(ax * c + bx)) as [
    number,
    number,
  ];
  const [top, bottom] = [row, row + 1].map((r) => Math.round(ay * r + by)) as [number, number];
  const data = image.data.slice();
  for (let y = Math.max(0, top); y < Math.min(image.height, bottom); y++)
    for (let x = Math.max(0, left); x < Math.min(image.width, right); x++)
      data.fill(255, 3 * (y * image.width + x), 3 * (y * image.width + x) + 3);
  return { ...image, data };
};

const compileRows = (backbone: BackboneV1, { layout, pixelShape }: ViewInputV1) => {
  const isSeen = ([name]: [string, unknown]) => backbone.parameterGroup(name) !== 'language-model';
  const weights = Object.fromEntries(Object.entries(backbone.weights).filter(isSeen));
  return compile(
    ({ parameters, pixels }: { parameters: Parameters; pixels: Tensor }) => {
      const { features } = backbone.encodeView(parameters, pixels, layout);
      return { rows: backbone.projectView(parameters, features, layout) };
    },
    { parameters: weights, pixels: float32(...pixelShape) },
  );
};

const rowsOf = async (
  program: CompiledProgram,
  { pixelValues }: ViewInputV1,
): Promise<Float32Array> => {
  const { rows } = (await program.run({ pixels: pixelValues })) as { rows: DeviceTensor };
  const values = (await rows.read()) as Float32Array;
  rows.dispose();
  return values;
};

/** Number of the cell, row-major, whose row is the least like it was. */
const mostChanged = (
  { tokenIndex, extraIndex }: ViewGridV1,
  before: Float32Array,
  after: Float32Array,
  width: number,
): number => {
  const positions = [...tokenIndex, ...extraIndex].sort((a, b) => a - b);
  const changes = Array.from(tokenIndex, (position) => {
    const first = positions.indexOf(position) * width;
    let change = 0;
    for (let i = first; i < first + width; i++) change += (after[i]! - before[i]!) ** 2;
    return change;
  });
  return changes.indexOf(Math.max(...changes));
};
