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
  readCheckpointJson,
  readEndIds,
} from '@spatialsv/core/kit';
import type { BackboneConfigV1, BackboneV1, OpenBackboneOptions } from '@spatialsv/core/spec';
import { qwen25Vl } from './plugin.js';
import { parseQwen25VlConfig, type Qwen25VlConfig } from './qwen25vl-config.js';
import { mropePositions } from './qwen25vl-positions.js';

const END_OF_TURN = '<|im_end|>';

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
  const where = path.join(folder, 'config.json');
  const raw = await readCheckpointConfig(folder);
  const parsed = parseQwen25VlConfig(raw, where);
  const checkpoint = await openCheckpoint(folder, cellCheckpoint(parsed.vision, parsed.decoder));
  const config = { ...parsed, decoder: { ...parsed.decoder, tieHead: checkpoint.isTied } };
  const text = await openTextProcessor(folder, cellTokenIds(config));
  const endIds = [...text.encode(END_OF_TURN), ...(await readEndIds(folder, raw))];
  const { decoder, vision } = config;
  const images = readCellImages(
    await readCheckpointJson(folder, 'preprocessor_config.json'),
    path.join(folder, 'preprocessor_config.json'),
    patchesOf(vision),
    options,
  );
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
    config: backboneConfig(config, [...new Set(endIds)]),
    weights: checkpoint.weights,
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

function backboneConfig(config: Qwen25VlConfig, endOfTurn: readonly number[]): BackboneConfigV1 {
  const { decoder, vision } = config;
  return {
    layers: decoder.layers,
    hiddenSize: decoder.hiddenSize,
    vocabularySize: decoder.vocabularySize,
    heads: decoder.heads,
    kvHeads: decoder.kvHeads,
    headDim: decoder.headDim,
    positionRows: 3,
    visionBlocks: vision.tower.depth,
    endOfTurnIds: endOfTurn,
    defaultTaps: defaultTaps(decoder.layers, PUBLISHED_TAPS),
  };
}
