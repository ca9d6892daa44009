import {
  configFields,
  type FamilyDefaults,
  type ImageProcessorFile,
  invalidField,
  openedBackbone,
  openModelFolder,
  openTextProcessor,
  type PixelStatistics,
  parseBackboneSettings,
  readGenerationSettings,
  readImageProcessor,
  readPixelStatistics,
  refusePixelBudget,
} from '@spatialsv/core/kit';
import type { BackboneV1, OpenBackboneOptions } from '@spatialsv/core/spec';
import { z } from 'zod';
import { NATIVE_NAMES, parameterGroup } from '../shared/native-names.js';
import { cellSide, pooledSide } from '../shared/pooling.js';
import type { VideoConfig } from '../shared/video.js';
import { type OneVisionConfig, parseOneVisionConfig, readResolutions } from './config.js';
import { ADAPTER_ID } from './model-type.js';
import { prepareOneVision, VIEW_MODES } from './prepare.js';
import { END_OF_TURN, IMAGE, VIDEO } from './prompt.js';
import { encodeOneVision, oneVisionContent, POOLING, projectOneVision } from './vision.js';

const FAMILY: FamilyDefaults = {
  // Those of the paper for LLaVA-OneVision-1.5: its Table 6 has no row for this family.
  learningRates: { languageModel: 2e-7, projector: 1e-5, spatial: 1e-5 },
  models: {
    '24x896': 'LLaVA-OneVision-0.5B',
    '28x3584': 'LLaVA-OneVision-7B',
    '80x8192': 'LLaVA-OneVision-72B',
  },
};

const settingsSchema = z.strictObject({
  /** What views are shown as. */
  views: z.enum(VIEW_MODES).default('anyres'),
});

/**
 * Opens a LLaVA-OneVision checkpoint folder. Weights stay in their files.
 * @throws SpatialError FILE_MISSING | FILE_INVALID | CONFIG_INVALID | WEIGHT_MISSING | WEIGHT_UNEXPECTED |
 *   SHAPE_MISMATCH.
 */
export async function openOneVision(
  folder: string,
  options: OpenBackboneOptions = {},
): Promise<BackboneV1> {
  const budget =
    'Views have the size of the vision tower; the setting views says how they are shown.';
  refusePixelBudget(ADAPTER_ID, options, budget);
  const { views: mode } = parseBackboneSettings(ADAPTER_ID, settingsSchema, options);
  const model = await openModelFolder(folder, parseOneVisionConfig, oneVisionContent);
  const { raw, config, checkpoint } = model;
  const { decoder, imageTokenId, videoTokenId } = config;
  const tokens = { [IMAGE]: imageTokenId, [VIDEO]: videoTokenId };
  const text = await openTextProcessor(folder, tokens);
  const generation = await readGenerationSettings(folder, raw, text.encode(END_OF_TURN));
  const pixels = readPixels(await readImageProcessor(folder), config);
  const views = { ...config, pixels };
  const context = { text, mode, views, video: videoConfig(config, pixels) };
  return openedBackbone({
    ...{ adapterId: ADAPTER_ID, folder, checkpoint, text, decoder },
    decoderNames: NATIVE_NAMES.decoder,
    ...{ family: FAMILY, visionBlocks: config.vision.tower.depth, generation },
    parameterGroup,
    prepare: (conversation) => prepareOneVision(context, conversation),
    encodeView: (parameters, pixelValues, layout, states) =>
      encodeOneVision(config, parameters, pixelValues, layout, states),
    projectView: (parameters, features, layout) =>
      projectOneVision(config, parameters, features, layout),
  });
}

/**
 * Statistics of the image processor, which has to agree with config.json on sizes and resolutions.
 * @throws SpatialError CONFIG_INVALID for another resampling, size or list of resolutions.
 */
function readPixels(
  { config, where }: ImageProcessorFile,
  { vision, resolutions }: OneVisionConfig,
): PixelStatistics {
  const fields = configFields(config, where);
  const statistics = readPixelStatistics(fields);
  fields.require('do_center_crop', [false]);
  const size = fields.section('size');
  for (const side of size.has('shortest_edge') ? ['shortest_edge'] : ['height', 'width'])
    requireSize(size.where, side, size.positive(side, 384), vision.imageSize);
  const own = readResolutions(fields, 'image_grid_pinpoints', vision.imageSize);
  if (JSON.stringify(own) !== JSON.stringify(resolutions))
    throw invalidField(`${where}.image_grid_pinpoints`, 'those of config.json', own);
  return statistics;
}

function requireSize(where: string, key: string, found: number, expected: number): void {
  if (found === expected) return;
  throw invalidField(`${where}.${key}`, `the image_size ${expected} of the vision tower`, found);
}

/** Frames are squashed to the tower's size; one newline ends the video. */
function videoConfig({ vision }: OneVisionConfig, pixels: PixelStatistics): VideoConfig {
  const { size: patchSize } = vision.tower.patch;
  return {
    frame: { ...pixels, size: vision.imageSize, patchSize, fit: 'squash' },
    grid: {
      side: pooledSide(vision.side, POOLING),
      cell: cellSide(vision.side, POOLING) * patchSize,
    },
    newline: 'one_token',
    key: 'bilinear',
  };
}
