import path from 'node:path';
import {
  type BackboneConfigV1,
  type BackboneV1,
  createDecoder,
  type OpenBackboneOptions,
  readCheckpointConfig,
  readCheckpointJson,
  SpatialError,
} from '@spatialsv/core';
import { isJsonObject, type JsonObject } from './config-fields.js';
import { qwen25Vl } from './plugin.js';
import { openCheckpoint } from './qwen25vl-checkpoint.js';
import { parseQwen25VlConfig, type Qwen25VlConfig } from './qwen25vl-config.js';
import { parseImageProcessorConfig } from './qwen25vl-image-processor.js';
import { DECODER_NAMES, parameterGroup } from './qwen25vl-names.js';
import { prepareConversation } from './qwen25vl-prepare.js';
import { openTextProcessor, type TextProcessor } from './qwen25vl-tokenizer.js';
import { encodeImage, mergePatches } from './qwen25vl-vision-encoder.js';

/** Tap layers of the two published depths (paper, Table 6). */
const PUBLISHED_TAPS: Readonly<Record<number, readonly number[]>> = {
  36: [4, 12, 20, 28],
  28: [3, 10, 17, 24],
};

/** Table 6 for the published depths; for others the same fractions of the depth, distinct where there are 4 layers. */
export function defaultTaps(layers: number): readonly number[] {
  const published = PUBLISHED_TAPS[layers];
  if (published !== undefined) return published;
  let previous = 0;
  const after = (fraction: number) => {
    previous = Math.min(layers, Math.max(previous + 1, Math.round(fraction * layers)));
    return previous;
  };
  return [after(4 / 36), after(12 / 36), after(20 / 36), after(28 / 36)];
}

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
  const checkpoint = await openCheckpoint(folder, parsed);
  const config = { ...parsed, decoder: { ...parsed.decoder, tieHead: checkpoint.tieHead } };
  const text = await openTextProcessor(folder, config);
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
    config: backboneConfig(config, await endOfTurnIds(folder, raw, text)),
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
    visionBlocks: vision.depth,
    endOfTurnIds: endOfTurn,
    defaultTaps: defaultTaps(decoder.layers),
  };
}

/** `<|im_end|>` and the end ids of generation_config.json, else of config.json. */
async function endOfTurnIds(
  folder: string,
  config: JsonObject,
  text: TextProcessor,
): Promise<readonly number[]> {
  const generation = await readCheckpointJson(folder, 'generation_config.json').catch(ifMissing);
  const nested = isJsonObject(config['text_config']) ? config['text_config'] : {};
  const candidates = [generation, config, nested].map(
    (object: JsonObject) => object['eos_token_id'],
  );
  const ids = candidates.find((value) => value !== undefined && value !== null) ?? [];
  const listed = (Array.isArray(ids) ? ids : [ids]).filter((id) => Number.isInteger(id));
  return [...new Set<number>([...text.encode('<|im_end|>'), ...listed])];
}

/** An optional file that is not there counts as empty; a damaged one does not. */
function ifMissing(error: unknown): JsonObject {
  if (SpatialError.isInstance(error) && error.code === 'FILE_MISSING') return {};
  throw error;
}
