/** Opening checkpoints of models that share Qwen's processor, prompt and layout of cells. */
import type { JsonObject } from '../../json.js';
import type { DecoderConfig } from '../../nn/index.js';
import type { BackboneConfigV1, BackboneV1, OpenBackboneOptions } from '../../spec.js';
import type { FamilyDefaults } from '../backbone-config.js';
import { refuseSettings } from '../backbone-settings.js';
import { readGenerationSettings } from '../generation-config.js';
import { readImageProcessor } from '../image-processor-file.js';
import { openedBackbone, openModelFolder } from '../opened-backbone.js';
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
export interface CellFamily extends Pick<BackboneConfigV1, 'positionRows'>, FamilyDefaults {
  /** That of the adapter. */
  readonly id: string;
  /** @param where path of config.json, for messages. @throws SpatialError CONFIG_INVALID. */
  readonly parse: (config: JsonObject, where: string) => CellModel;
  readonly positions: (model: CellModel) => CellContext['positions'];
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
  const { raw, config, checkpoint } = await openModelFolder(folder, family.parse, cellCheckpoint);
  const { vision, decoder, imageTokenId } = config;
  const text = await openTextProcessor(folder, cellTokenIds(config));
  const generation = await readGenerationSettings(folder, raw, text.encode(END_OF_TURN));
  const processor = await readImageProcessor(folder);
  const images = readCellImages(processor.config, processor.where, patchesOf(vision), options);
  const context = { text, images, imageTokenId, positions: family.positions(config) };
  return openedBackbone({
    ...{ adapterId: family.id, folder, checkpoint, text, decoder },
    decoderNames: CELL_DECODER_NAMES,
    ...{ family, positionRows: family.positionRows, generation },
    visionBlocks: vision.tower.depth,
    parameterGroup: cellParameterGroup,
    prepare: (conversation) => prepareCells(context, conversation),
    requireImageSize: ({ height, width, path: name }) => {
      smartResize(height, width, images, name);
    },
    encodeView: (parameters, pixels, layout, states) =>
      encodeCells(vision, parameters, pixels, layout, states),
    projectView: (parameters, features) => mergeCells(vision, parameters, features),
  });
}
