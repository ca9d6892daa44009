import {
  openedBackbone,
  openModelFolder,
  openTextProcessor,
  parseBackboneSettings,
  readGenerationSettings,
  refusePixelBudget,
} from '@spatialsv/core/kit';
import type { BackboneV1, OpenBackboneOptions } from '@spatialsv/core/spec';
import { z } from 'zod';
import { NEXT_VIDEO_FAMILY } from '../shared/family.js';
import { projectRows } from '../shared/model-names.js';
import { NATIVE_NAMES, parameterGroup } from '../shared/native-names.js';
import { cellSide, pooledSide, poolGrid } from '../shared/pooling.js';
import { encodeFrame } from '../shared/tower-states.js';
import { layOutVideo, type VideoConfig } from '../shared/video.js';
import { type NextVideoConfig, parseNextVideoConfig } from './config.js';
import { readFrameConfig } from './frame-processor.js';
import { ADAPTER_ID } from './model-type.js';
import { checkpointContent } from './names.js';
import { BEGIN, END_OF_TURN, encodePrompt, IMAGE, VIDEO } from './prompt.js';

const settingsSchema = z.strictObject({
  /** How a view becomes a frame. */
  frame: z.enum(['crop', 'squash']).default('crop'),
});

/**
 * Opens a LLaVA-NeXT-Video checkpoint folder. Weights stay in their files.
 * @throws SpatialError FILE_MISSING | FILE_INVALID | CONFIG_INVALID | WEIGHT_MISSING | WEIGHT_UNEXPECTED |
 *   SHAPE_MISMATCH.
 */
export async function openNextVideo(
  folder: string,
  options: OpenBackboneOptions = {},
): Promise<BackboneV1> {
  refusePixelBudget(ADAPTER_ID, options, 'Frames have the size of the vision tower.');
  const { frame: fit } = parseBackboneSettings(ADAPTER_ID, settingsSchema, options);
  const model = await openModelFolder(folder, parseNextVideoConfig, checkpointContent);
  const { raw, config, checkpoint } = model;
  const { decoder, vision, pooling } = config;
  const text = await openTextProcessor(folder, {
    [BEGIN]: config.beginTokenId,
    [VIDEO]: config.videoTokenId,
    [IMAGE]: config.imageTokenId,
  });
  const generation = await readGenerationSettings(folder, raw, text.encode(END_OF_TURN));
  const video = videoConfig(config, await readFrameConfig(folder, vision, fit));
  return openedBackbone({
    ...{ adapterId: ADAPTER_ID, folder, checkpoint, text, decoder },
    decoderNames: NATIVE_NAMES.decoder,
    ...{ family: NEXT_VIDEO_FAMILY, visionBlocks: vision.tower.depth, generation },
    parameterGroup,
    prepare: async (conversation) => {
      const prompt = await encodePrompt(text, config, conversation);
      return layOutVideo(video, conversation.images, prompt);
    },
    encodeView: (parameters, pixels, _layout, states) =>
      encodeFrame(vision, NATIVE_NAMES.vision, parameters, pixels, states),
    projectView: (parameters, features) =>
      projectRows(NATIVE_NAMES, parameters, poolGrid(features, vision.side, pooling)),
  });
}

function videoConfig(
  { vision, pooling }: NextVideoConfig,
  frame: VideoConfig['frame'],
): VideoConfig {
  const { side } = vision;
  return {
    frame,
    grid: {
      side: pooledSide(side, pooling),
      cell: cellSide(side, pooling) * vision.tower.patch.size,
    },
    newline: 'no_token',
    key: pooling.mode,
  };
}
