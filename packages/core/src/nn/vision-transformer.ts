/**
 * Vision transformer (arXiv:2010.11929) in all the forms that supported models give it; a configuration and the names of
 * its tensors say which: DINOv2 (arXiv:2304.07193) as geometry models use it, CLIP (arXiv:2103.00020), SigLIP
 * (arXiv:2303.15343), InternViT (arXiv:2312.14238), RICE-ViT (arXiv:2507.20025), Qwen2.5-VL (arXiv:2502.13923).
 */
import { type Tensor, tf } from '@spatialsv/engine';
import { SpatialError } from '../errors.js';
import type { ParameterScope } from './parameter-scope.js';
import type { RotaryTables } from './rope.js';
import { visionBlock } from './vision-block.js';
import type { VisionTowerConfig, VisionTowerNames } from './vision-config.js';
import { normalise } from './vision-layers.js';
import { inverseOrder, type PatchLayout, patchLayout } from './vision-layout.js';
import { embedPatches, patchEmbedding } from './vision-patches.js';
import { type PatchGrid, resamplePositionEmbedding, rotary2d } from './vision-positions.js';

/** Images of one size: whole, or cut into patches, cell by cell as the configuration says. */
export type VisionInput =
  /** (S, H, W, channels), H and W multiples of the patch. */
  | { readonly images: Tensor }
  /** (S, P, channels · frames · p²), the values of a patch in the order of the weight's. */
  | { readonly patches: Tensor; readonly grid: PatchGrid };

export interface VisionRequest {
  /** States to give: 0 is what enters the first block, K the state after K blocks. None where absent. */
  readonly states?: readonly number[];
  /** Blocks to run; all of the checkpoint where absent. */
  readonly blocks?: number;
}

export interface VisionOutput {
  /** (S, special + P, C) after the last block that ran, special tokens first, patches as they stand inside the tower. */
  readonly tokens: Tensor;
  /** (S, P, C) after the last block that ran and the norm behind it, in the order in which patches were given. */
  readonly features: () => Tensor;
  /** (S, P, C) by number, patches row by row, without the norm behind the last block. */
  readonly states: Readonly<Record<number, Tensor>>;
}

/**
 * Runs a tower over S images of one size.
 * @param parameters scope of the tower, for example `visual`.
 * @throws SpatialError WEIGHT_MISSING naming the parameter; SHAPE_MISMATCH when patches and grid disagree;
 *   TAP_UNKNOWN for a state that is not reached; CONFIG_INVALID for windows together with special tokens.
 */
export function visionTower(
  config: VisionTowerConfig,
  names: VisionTowerNames,
  parameters: ParameterScope,
  input: VisionInput,
  { states = [], blocks = config.depth }: VisionRequest = {},
): VisionOutput {
  const tower = { config, names, parameters };
  checkTower(config, input, { states, blocks });
  const grid = gridOf(config, input);
  const layout = patchLayout(cellsOf(config, input), grid);
  const rotary = towerRotary(tower, grid, layout);
  const kept: Record<number, Tensor> = {};
  const keep = (number: number, state: Tensor) => {
    if (states.includes(number)) kept[number] = inRows(layout, patchesOf(config, state));
  };
  let tokens = firstTokens(tower, input, grid, layout);
  keep(0, tokens);
  const segments = layout.windows && repeated(layout.windows, tokens.shape[0]!);
  for (let block = 0; block < blocks; block++) {
    const isWhole = config.windows?.wholeBlocks.includes(block) ?? true;
    const options = { names: names.block, rotary, segments: isWhole ? undefined : segments };
    tokens = visionBlock(config, parameters.scope(`${names.blocks}.${block}`), tokens, options);
    keep(block + 1, tokens);
  }
  const last = tokens;
  return { tokens, states: kept, features: () => asGiven(layout, normedPatches(tower, last)) };
}

interface Tower {
  readonly config: VisionTowerConfig;
  readonly names: VisionTowerNames;
  readonly parameters: ParameterScope;
}

/** Class token and registers: tokens before the patches. */
const specialTokens = ({ classToken, registers = 0 }: VisionTowerConfig): number =>
  (classToken ? 1 : 0) + registers;

function gridOf({ patch }: VisionTowerConfig, input: VisionInput): PatchGrid {
  if ('grid' in input) return input.grid;
  const [, height, width] = input.images.shape as [number, number, number, number];
  return { h: height / patch.size, w: width / patch.size };
}

/** Patches of whole images come row by row. */
const cellsOf = (config: VisionTowerConfig, input: VisionInput): VisionTowerConfig =>
  'images' in input ? { ...config, cellSide: 1 } : config;

const repeated = <T>(list: readonly T[], times: number): readonly T[] =>
  Array<readonly T[]>(times).fill(list).flat();

// ---------------------------------------------------------------------------------------------- tokens

/** (S, special + P, C): patches with their learnt positions behind the special tokens, normed where the tower does so. */
function firstTokens(
  tower: Tower,
  input: VisionInput,
  grid: PatchGrid,
  layout: PatchLayout,
): Tensor {
  const { config, names, parameters } = tower;
  const layer = parameters.scope(names.patch);
  const patches =
    'images' in input
      ? patchEmbedding(layer, input.images)
      : embedPatches(layer, ordered(input.patches, layout.given));
  const special = specialRows(tower).map((rows) => tf.tile(rows, [patches.shape[0]!, 1, 1]));
  const positioned = withPositions(tower, patches, grid, layout);
  const tokens = special.length === 0 ? positioned : tf.concat([...special, positioned], 1);
  const { preNorm } = config;
  return preNorm ? normalise(preNorm, parameters.scope(names.preNorm), tokens) : tokens;
}

function withPositions(
  { config, names, parameters }: Tower,
  patches: Tensor,
  grid: PatchGrid,
  layout: PatchLayout,
): Tensor {
  if (!config.positions) return patches;
  const table = parameters.get(names.positions.name);
  const rows = resamplePositionEmbedding(table, grid, config.positions.resampling); // (P, C)
  return tf.add(patches, ordered(tf.expandDims(rows, 0), layout.rowMajor));
}

/** (1, n, C) each: the class token, with its learnt position, then the registers. */
function specialRows({ config, names, parameters }: Tower): readonly Tensor[] {
  const { classToken, registers, positions, width } = config;
  const rows = (name: string) => tf.reshape(parameters.get(name), [1, -1, width]);
  const ofClass = () => {
    const token = rows(names.classToken.name);
    if (!positions) return token;
    return tf.add(token, tf.slice(rows(names.positions.name), [0, 0, 0], [1, 1, width]));
  };
  return [...(classToken ? [ofClass()] : []), ...(registers ? [rows(names.registers.name)] : [])];
}

// ---------------------------------------------------------------------------------------------- rotary positions

/** Tables of all tokens, special ones first; absent in towers without rotary positions. */
function towerRotary(
  { config, names, parameters }: Tower,
  { h, w }: PatchGrid,
  { rowMajor }: PatchLayout,
): RotaryTables | undefined {
  const { rotary, classToken, width, heads } = config;
  if (!rotary) return undefined;
  const hasAngles = classToken?.angles ?? false;
  const positions = new Array<number>(2 * (specialTokens(config) - (hasAngles ? 1 : 0))).fill(0);
  for (let place = 0; place < h * w; place++) {
    const patch = rowMajor?.[place] ?? place;
    positions.push(Math.floor(patch / w), patch % w);
  }
  const tables = rotary2d(positions, width / heads, rotary);
  if (!hasAngles) return tables;
  const columns = tables.cos.shape[1]!;
  const angles = tf.reshape(parameters.get(names.classAngles.name), [-1, columns]);
  return {
    cos: tf.concat([tf.cos(angles), tables.cos], 0),
    sin: tf.concat([tf.sin(angles), tables.sin], 0),
  };
}

// ---------------------------------------------------------------------------------------------- orders

/** @param x (S, P, …). @param order number of the row for each place; as it is where absent. */
function ordered(x: Tensor, order: Int32Array | undefined): Tensor {
  if (order === undefined) return x;
  return tf.gather(x, tf.tensor1d(order, 'int32'), 1);
}

const inverse = (order: Int32Array | undefined) => order && inverseOrder(order);

const asGiven = ({ given }: PatchLayout, x: Tensor): Tensor => ordered(x, inverse(given));

const inRows = ({ rowMajor }: PatchLayout, x: Tensor): Tensor => ordered(x, inverse(rowMajor));

function patchesOf(config: VisionTowerConfig, tokens: Tensor): Tensor {
  const special = specialTokens(config);
  if (special === 0) return tokens;
  const [views, , width] = tokens.shape as [number, number, number];
  return tf.slice(tokens, [0, special, 0], [views, -1, width]);
}

function normedPatches({ config, names, parameters }: Tower, tokens: Tensor): Tensor {
  const patches = patchesOf(config, tokens);
  const { postNorm } = config;
  return postNorm ? normalise(postNorm, parameters.scope(names.postNorm), patches) : patches;
}

// ---------------------------------------------------------------------------------------------- checks

function checkTower(
  config: VisionTowerConfig,
  input: VisionInput,
  { states, blocks }: Required<VisionRequest>,
): void {
  const unknown = states.find((state) => !Number.isInteger(state) || state < 0 || state > blocks);
  if (unknown !== undefined) {
    throw new SpatialError({
      code: 'TAP_UNKNOWN',
      message: `vision state ${unknown}: expected an integer from 0 (patch embedding) to ${blocks} (after the last block)`,
      hint: `This tower has ${config.depth} blocks; choose states among 0 … ${blocks}.`,
    });
  }
  if (config.windows && specialTokens(config) > 0) {
    throw new SpatialError({
      code: 'CONFIG_INVALID',
      message: 'vision tower: expected windows or special tokens, found both',
      hint: 'A class token or register belongs to no window: leave one of the two out of the configuration.',
    });
  }
  if ('grid' in input) checkGrid(config, input.patches, input.grid);
}

function checkGrid({ patch, cellSide = 1 }: VisionTowerConfig, patches: Tensor, grid: PatchGrid) {
  const values = patch.channels * (patch.frames ?? 1) * patch.size ** 2;
  const isWhole = grid.h % cellSide === 0 && grid.w % cellSide === 0;
  const [, count, width] = patches.shape;
  if (patches.rank === 3 && isWhole && count === grid.h * grid.w && width === values) return;
  throw new SpatialError({
    code: 'SHAPE_MISMATCH',
    message:
      `patches of grid ${grid.h}×${grid.w}: expected sides divisible by ${cellSide} and ` +
      `(S, ${grid.h * grid.w}, ${values}) values, found (${patches.shape.join(', ')})`,
    hint: 'Pass the pixel values and the layout that prepare() returned for the same view.',
  });
}
