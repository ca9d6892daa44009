import path from 'node:path';
import {
  type FamilyDefaults,
  openedBackbone,
  openModelFolder,
  openTextCodec,
  openTextProcessor,
  readGenerationSettings,
  readImageProcessor,
  type TextCodec,
  type TextProcessor,
} from '@spatialsv/core/kit';
import { type BackboneV1, type OpenBackboneOptions, SpatialError } from '@spatialsv/core/spec';
import { type InternVl3Config, parseInternVl3Config } from './internvl3-config.js';
import { checkpointContent, DECODER_NAMES, parameterGroup } from './internvl3-names.js';
import { prepareConversation } from './internvl3-prepare.js';
import { IMAGE_TOKEN } from './internvl3-prompt.js';
import { readSettings } from './internvl3-settings.js';
import { encodeTiles, projectCells, VISION_NAMES } from './internvl3-vision.js';
import { ADAPTER_ID } from './model-type.js';
import { parseNativeTiling, type TilingConfig } from './tiling.js';

const END_OF_TURN = '<|im_end|>';

/** Learning rates, and tap layers of the published depths, are those of the paper's Table 6. */
export const FAMILY: FamilyDefaults = {
  learningRates: { languageModel: 1e-5, projector: 1e-5, spatial: 1e-5 },
  models: {
    '24x896': 'InternVL3-1B',
    '28x1536': 'InternVL3-2B',
    '28x3584': 'InternVL3-8B',
    '48x5120': 'InternVL3-14B',
  },
  taps: { 24: [3, 9, 15, 21], 28: [3, 9, 15, 21] },
};

/**
 * Opens an InternVL3 checkpoint folder of either layout. Weights stay in their files.
 * @throws SpatialError FILE_MISSING | FILE_INVALID | CONFIG_INVALID | WEIGHT_MISSING | WEIGHT_UNEXPECTED |
 *   SHAPE_MISMATCH.
 */
export async function openInternVl3(
  folder: string,
  options: OpenBackboneOptions = {},
): Promise<BackboneV1> {
  const settings = readSettings(ADAPTER_ID, options);
  const model = await openModelFolder(folder, parseInternVl3Config, checkpointContent);
  const { raw, config, checkpoint } = model;
  const text = await openText(folder, config);
  const imageTokenId = requireImageToken(folder, text, config);
  const settled = await readGenerationSettings(folder, raw, text.encode(END_OF_TURN));
  // The models' own code generates from embeddings: a repetition penalty sees the answer alone.
  const generation = { ...settled, penalisesPrompt: config.layout === 'native' };
  const tiling = await readTiling(folder, config);
  const context = { config, text, tiling, settings, imageTokenId };
  const { decoder, vision } = config;
  const names = VISION_NAMES[config.layout];
  return openedBackbone({
    ...{ adapterId: ADAPTER_ID, folder, checkpoint, text, decoder },
    decoderNames: DECODER_NAMES,
    ...{ family: FAMILY, visionBlocks: vision.tower.depth, generation },
    parameterGroup,
    prepare: (conversation) => prepareConversation(context, conversation),
    encodeView: (parameters, pixels, layout, states) =>
      encodeTiles(vision, names, parameters, pixels, layout, states),
    projectView: (parameters, features) => projectCells(vision, names, parameters, features),
  });
}

function openText(
  folder: string,
  { imageTokenId }: InternVl3Config,
): Promise<TextCodec | TextProcessor> {
  if (imageTokenId === undefined) return openTextCodec(folder, {});
  return openTextProcessor(folder, { [IMAGE_TOKEN]: imageTokenId });
}

/** Id of the token at visual positions. @throws SpatialError CONFIG_INVALID where it is no token of the vocabulary. */
function requireImageToken(
  folder: string,
  text: TextCodec,
  { decoder: { vocabularySize } }: InternVl3Config,
): number {
  const found = text.encode(IMAGE_TOKEN);
  const [id] = found;
  if (id !== undefined && found.length === 1 && id < vocabularySize) return id;
  throw new SpatialError({
    code: 'CONFIG_INVALID',
    message: `${path.join(folder, 'tokenizer.json')}: expected ${IMAGE_TOKEN} to be one token with an id below vocab_size ${vocabularySize}, found ${found.join(', ')}`,
    hint: 'Take tokenizer files and config.json from the same checkpoint.',
  });
}

/** Limits and statistics of images: in config.json of the original layout, else where transformers keeps them. */
async function readTiling(folder: string, config: InternVl3Config): Promise<TilingConfig> {
  if (config.original !== undefined) return config.original.tiling;
  const { config: settings, where } = await readImageProcessor(folder);
  return parseNativeTiling(settings, where, config.vision.tileSize);
}
