import path from 'node:path';
import {
  createDecoder,
  defaultTaps,
  openCheckpoint,
  openTextProcessor,
  readCheckpointConfig,
  readCheckpointJson,
  readEndIds,
} from '@spatialsv/core/kit';
import type { BackboneConfigV1, BackboneV1, OpenBackboneOptions } from '@spatialsv/core/spec';
import { qwen25Vl } from './plugin.js';
import { parseQwen25VlConfig, type Qwen25VlConfig, tokenIds } from './qwen25vl-config.js';
import { parseImageProcessorConfig } from './qwen25vl-image-processor.js';
import { checkpointContent, DECODER_NAMES, parameterGroup } from './qwen25vl-names.js';
import { prepareConversation } from './qwen25vl-prepare.js';
import { encodeImage, mergePatches } from './qwen25vl-vision.js';

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
  const checkpoint = await openCheckpoint(folder, checkpointContent(parsed));
  const config = { ...parsed, decoder: { ...parsed.decoder, tieHead: checkpoint.isTied } };
  const text = await openTextProcessor(folder, tokenIds(config));
  const endIds = [...text.encode(END_OF_TURN), ...(await readEndIds(folder, raw))];
  const imageProcessor = parseImageProcessorConfig(
    await readCheckpointJson(folder, 'preprocessor_config.json'),
    path.join(folder, 'preprocessor_config.json'),
    options,
  );
  const context = { text, imageProcessor, imageTokenId: config.imageTokenId };
  const { decoder, vision } = config;
  return {
    adapterId: qwen25Vl.id,
    folder,
    config: backboneConfig(config, [...new Set(endIds)]),
    weights: checkpoint.weights,
    parameterGroup,
    prepare: (conversation) => prepareConversation(context, conversation),
    decodeTokens: text.decode,
    encodeView: (parameters, pixels, layout, states) =>
      encodeImage(vision, parameters, pixels, layout, states),
    projectView: (parameters, features) => mergePatches(vision, parameters, features),
    decoder: createDecoder(decoder, DECODER_NAMES),
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
