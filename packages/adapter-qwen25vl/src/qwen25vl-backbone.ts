import { type CellFamily, openCellBackbone } from '@spatialsv/core/kit';
import type { BackboneV1, OpenBackboneOptions } from '@spatialsv/core/spec';
import { ADAPTER_ID } from './model-type.js';
import { parseQwen25VlConfig } from './qwen25vl-config.js';
import { mropePositions } from './qwen25vl-positions.js';

/** Tap layers of the two published depths (paper, Table 6). */
export const PUBLISHED_TAPS: Readonly<Record<number, readonly number[]>> = {
  36: [4, 12, 20, 28],
  28: [3, 10, 17, 24],
};

const FAMILY: CellFamily = {
  id: ADAPTER_ID,
  parse: parseQwen25VlConfig,
  positionRows: 3,
  positions:
    ({ imageTokenId }) =>
    (inputIds, grids) =>
      mropePositions(inputIds, imageTokenId, grids),
  // Table 6 of the paper, for both sizes.
  learningRates: { languageModel: 2e-7, projector: 1e-5, spatial: 1e-5 },
  models: { '36x2048': 'Qwen2.5-VL-3B', '28x3584': 'Qwen2.5-VL-7B' },
  taps: PUBLISHED_TAPS,
};

/**
 * Opens a Qwen2.5-VL checkpoint folder. Weights stay in their files.
 * @throws SpatialError FILE_MISSING | FILE_INVALID | CONFIG_INVALID | WEIGHT_MISSING | WEIGHT_UNEXPECTED |
 *   SHAPE_MISMATCH.
 */
export const openQwen25Vl = (folder: string, options?: OpenBackboneOptions): Promise<BackboneV1> =>
  openCellBackbone(FAMILY, folder, options);
