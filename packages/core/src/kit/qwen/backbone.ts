/** Opening checkpoints of models that share Qwen's processor, prompt and layout of cells. */
import path from 'node:path';
import { readCheckpointConfig } from '../../checkpoint-folder.js';
import type { JsonObject } from '../../json.js';
import { createDecoder, type DecoderConfig } from '../../nn/index.js';
import type {
  BackboneConfigV1,
  BackboneV1,
  GenerationSettingsV1,
  LearningRatesV1,
  OpenBackboneOptions,
} from '../../spec.js';
import { backboneConfigOf } from '../backbone-config.js';
import { refuseSettings } from '../backbone-settings.js';
import { openCheckpoint } from '../checkpoint.js';
import { readGenerationSettings } from '../generation-config.js';
import { readImageProcessor } from '../image-processor-file.js';
import { openTextProcessor } from '../text-processor.js';
import { readCellImages, smartResize } from './images.js';
import { CELL_DECODER_NAMES, cellCheckpoint, cellParameterGroup } from './names.js';
import { type CellContext, prepareCells } from './prepare.js';
import { type CellTokens, cellTokenIds, END_OF_TURN } from './prompt.js';
import { type CellVision, encodeCells, mergeCells, patchesOf } from './vision.js';

/** What config.json says. */
export interface CellModel extends CellTokens {
  readonly decoder: DecoderConfig;
  readonly vision: CellVision;
}

/** What distinguishes one family from the others. */
export interface CellFamily extends Pick<BackboneConfigV1, 'positionRows'> {
  /** That of the adapter. */
  readonly id: string;
  /** @param where path of config.json, for messages. @throws SpatialError CONFIG_INVALID. */
  readonly parse: (config: JsonObject, where: string) => CellModel;
  readonly positions: (model: CellModel) => CellContext['positions'];
  readonly learningRates: LearningRatesV1;
  /** Published models by layers and width of the decoder, `36x2048`. */
  readonly models: Readonly<Record<string, string>>;
  /** Published taps by layers of the decoder. */
  readonly taps: Readonly<Record<number, readonly number[]>>;
}

/**
 * Opens a checkpoint folder. Weights stay in their files.
 * @throws SpatialError FILE_MISSING | FILE_INVALID | CONFIG_INVALID | WEIGHT_MISSING | WEIGHT_UNEXPECTED |
 *   SHAPE_MISMATCH.
 */
export async function openCellBackbone(
  family: CellFamily,
  folder: string,
  options: OpenBackboneOptions = {},
): Promise<BackboneV1> {
  refuseSettings(family.id, options);
  const raw = await readCheckpointConfig(folder);
  const model = family.parse(raw, path.join(folder, 'config.json'));
  const { vision } = model;
  const checkpoint = await openCheckpoint(folder, cellCheckpoint(vision, model.decoder));
  const decoder = { ...model.decoder, tieHead: checkpoint.isTied };
  const text = await openTextProcessor(folder, cellTokenIds(model));
  const generation = await readGenerationSettings(folder, raw, text.encode(END_OF_TURN));
  const processor = await readImageProcessor(folder);
  const images = readCellImages(processor.config, processor.where, patchesOf(vision), options);
  const { imageTokenId } = model;
  const context = { text, images, imageTokenId, positions: family.positions(model) };
  return {
    adapterId: family.id,
    folder,
    config: backboneConfig(family, model, generation),
    weights: checkpoint.weights,
    findings: checkpoint.findings,
    parameterGroup: cellParameterGroup,
    prepare: (conversation) => prepareCells(context, conversation),
    decodeTokens: text.decode,
    requireImageSize: ({ height, width, path: name }) => {
      smartResize(height, width, images, name);
    },
    encodeView: (parameters, pixels, layout, states) =>
      encodeCells(vision, parameters, pixels, layout, states),
    projectView: (parameters, features) => mergeCells(vision, parameters, features),
    decoder: createDecoder(decoder, CELL_DECODER_NAMES),
    save: checkpoint.save,
  };
}

const backboneConfig = (
  { positionRows, ...family }: CellFamily,
  { decoder, vision }: CellModel,
  generation: GenerationSettingsV1,
): BackboneConfigV1 => {
  const parts = { decoder, positionRows, visionBlocks: vision.tower.depth, generation };
  return backboneConfigOf(parts, family);
};
