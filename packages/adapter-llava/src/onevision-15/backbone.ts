import { type CellFamily, openCellBackbone, plainPositions } from '@spatialsv/core/kit';
import type { BackboneV1, OpenBackboneOptions } from '@spatialsv/core/spec';
import { parseOneVision15Config } from './config.js';
import { ADAPTER_ID } from './model-type.js';

/** What is LLaVA-OneVision-1.5's among models with cells. */
export const ONEVISION15: CellFamily = {
  id: ADAPTER_ID,
  parse: parseOneVision15Config,
  positionRows: 1,
  positions: () => (inputIds) => plainPositions(inputIds.length),
  // Table 6 of the paper, for both sizes.
  learningRates: { languageModel: 2e-7, projector: 1e-5, spatial: 1e-5 },
  models: { '36x2560': 'LLaVA-OneVision-1.5-4B', '36x4096': 'LLaVA-OneVision-1.5-8B' },
  taps: { 36: [4, 12, 20, 28] },
};

/**
 * Opens a LLaVA-OneVision-1.5 checkpoint folder. Weights stay in their files.
 * @throws SpatialError FILE_MISSING | FILE_INVALID | CONFIG_INVALID | WEIGHT_MISSING | WEIGHT_UNEXPECTED |
 *   SHAPE_MISMATCH.
 */
export const openOneVision15 = (
  folder: string,
  options?: OpenBackboneOptions,
): Promise<BackboneV1> => openCellBackbone(ONEVISION15, folder, options);
