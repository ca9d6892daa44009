import path from 'node:path';
import {
  CELL_DECODER_NAMES,
  type CellContext,
  cellCheckpoint,
  cellParameterGroup,
  cellTokenIds,
  createDecoder,
  defaultTaps,
  encodeCells,
  mergeCells,
  openCheckpoint,
  openTextProcessor,
  patchesOf,
  prepareCells,
  readCellImages,
  readCheckpointConfig,
  readGenerationSettings,
  readImageProcessor,
  refuseSettings,
} from '@spatialsv/core/kit';
import type {
  BackboneConfigV1,
  BackboneV1,
  GenerationSettingsV1,
  OpenBackboneOptions,
} from '@spatialsv/core/spec';
import { qwen25Vl } from './plugin.js';
import { parseQwen25VlConfig, type Qwen25VlConfig } from './qwen25vl-config.js';
import { mropePositions } from './qwen25vl-positions.js';

const END_OF_TURN = '<|im_end|>';

/** Table 6 of the paper, for both sizes. */
const LEARNING_RATES = { languageModel: 2e-7, projector: 1e-5, spatial: 1e-5 };

/** Published sizes, by layers and width of the decoder. */
const PUBLISHED_MODELS: Readonly<Record<string, string>> = {
  '36x2048': 'Qwen2.5-VL-3B',
  '28x3584': 'Qwen2.5-VL-7B',
};

/** Tap layers of the two published depths (paper, Table 6). */
export const PUBLISHED_TAPS: Readonly<Record<number, readonly number[]>> = {
  36: [4, 12, 20, 28],
  28: [3, 10, 17, 24],
};

/**
 * Opens a Qwen2.5-VL checkpoint folder. Weights stay in their files.
 * @throws SpatialError FILE_MISSING | FILE_INVALID | CONFIG_INVALID | WEIGHT_MISSING | WEIGHT_UNEXPECTED |
 *   SHAPE_MISMATCH.
 */
export async function openQwen25Vl(
  folder: string,
  options: OpenBackboneOptions = {},
): Promise<BackboneV1> {
  refuseSettings(qwen25Vl.id, options);
  const where = path.join(folder, 'config.json');
  const raw = await readCheckpointConfig(folder);
  const parsed = parseQwen25VlConfig(raw, where);
  const checkpoint = await openCheckpoint(folder, cellCheckpoint(parsed.vision, parsed.decoder));
  const config = { ...parsed, decoder: { ...parsed.decoder, tieHead: checkpoint.isTied } };
  const text = await openTextProcessor(folder, cellTokenIds(config));
  const generation = await readGenerationSettings(folder, raw, text.encode(END_OF_TURN));
  const { decoder, vision } = config;
  const processor = await readImageProcessor(folder);
  const images = readCellImages(processor.config, processor.where, patchesOf(vision), options);
  const { imageTokenId } = config;
  const context: CellContext = {
    text,
    images,
    imageTokenId,
    positions: (inputIds, grids) => mropePositions(inputIds, imageTokenId, grids),
  };
  return {
    adapterId: qwen25Vl.id,
    folder,
    config: backboneConfig(config, generation),
    weights: checkpoint.weights,
    findings: checkpoint.findings,
    parameterGroup: cellParameterGroup,
    prepare: (conversation) => prepareCells(context, conversation),
    decodeTokens: text.decode,
    encodeView: (parameters, pixels, layout, states) =>
      encodeCells(vision, parameters, pixels, layout, states),
    projectView: (parameters, features) => mergeCells(vision, parameters, features),
    decoder: createDecoder(decoder, CELL_DECODER_NAMES),
    save: checkpoint.save,
  };
}

function backboneConfig(
  config: Qwen25VlConfig,
  generation: GenerationSettingsV1,
): BackboneConfigV1 {
  const { decoder, vision } = config;
  const model = PUBLISHED_MODELS[`${decoder.layers}x${decoder.hiddenSize}`];
  return {
    ...(model !== undefined && { model }),
    layers: decoder.layers,
    hiddenSize: decoder.hiddenSize,
    vocabularySize: decoder.vocabularySize,
    heads: decoder.heads,
    kvHeads: decoder.kvHeads,
    headDim: decoder.headDim,
    positionRows: 3,
    visionBlocks: vision.tower.depth,
    generation,
    learningRates: LEARNING_RATES,
    defaultTaps: defaultTaps(decoder.layers, PUBLISHED_TAPS),
  };
}
