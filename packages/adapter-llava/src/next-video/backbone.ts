import path from 'node:path';
import {
  createDecoder,
  openCheckpoint,
  openTextProcessor,
  parameterScope,
  parseBackboneSettings,
  readCheckpointConfig,
  readGenerationSettings,
  refuseExtremeShape,
  refusePixelBudget,
} from '@spatialsv/core/kit';
import type { BackboneV1, OpenBackboneOptions } from '@spatialsv/core/spec';
import { z } from 'zod';
import { llavaNextVideo } from '../plugin.js';
import { nextVideoBackboneConfig } from '../shared/backbone-config.js';
import {
  DECODER_NAMES,
  PROJECTOR,
  PROJECTOR_NAMES,
  parameterGroup,
  VISION,
} from '../shared/native-names.js';
import { cellSide, pooledSide, poolGrid } from '../shared/pooling.js';
import { project } from '../shared/projector.js';
import { encodeFrame } from '../shared/tower-states.js';
import { layOutVideo, type VideoConfig } from '../shared/video.js';
import { type NextVideoConfig, parseNextVideoConfig } from './config.js';
import { readFrameConfig } from './frame-processor.js';
import { checkpointContent } from './names.js';
import { BEGIN, END_OF_TURN, encodePrompt, IMAGE, VIDEO } from './prompt.js';

const PUBLISHED = { model: 'LLaVA-NeXT-Video-7B', layers: 32, hiddenSize: 4096 };

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
  refusePixelBudget(llavaNextVideo.id, options, 'Frames have the size of the vision tower.');
  const { frame: fit } = parseBackboneSettings(llavaNextVideo.id, settingsSchema, options);
  const raw = await readCheckpointConfig(folder);
  const parsed = parseNextVideoConfig(raw, path.join(folder, 'config.json'));
  const checkpoint = await openCheckpoint(folder, checkpointContent(parsed));
  const config = { ...parsed, decoder: { ...parsed.decoder, tieHead: checkpoint.isTied } };
  const { decoder, vision, pooling } = config;
  const text = await openTextProcessor(folder, {
    [BEGIN]: config.beginTokenId,
    [VIDEO]: config.videoTokenId,
    [IMAGE]: config.imageTokenId,
  });
  const generation = await readGenerationSettings(folder, raw, text.encode(END_OF_TURN));
  const visionBlocks = vision.tower.depth;
  const video = videoConfig(config, await readFrameConfig(folder, vision, fit));
  return {
    adapterId: llavaNextVideo.id,
    folder,
    config: nextVideoBackboneConfig({ decoder, visionBlocks, generation, published: PUBLISHED }),
    weights: checkpoint.weights,
    findings: checkpoint.findings,
    parameterGroup,
    prepare: async (conversation) => {
      const prompt = await encodePrompt(text, config, conversation);
      return layOutVideo(video, conversation.images, prompt);
    },
    decodeTokens: text.decode,
    requireImageSize: ({ height, width, path: name }) => refuseExtremeShape(height, width, name),
    encodeView: (parameters, pixels, _layout, states) =>
      encodeFrame(vision, VISION, parameters, pixels, states),
    projectView: (parameters, features) => {
      const pooled = poolGrid(features, vision.side, pooling);
      return project(parameterScope(parameters, PROJECTOR), PROJECTOR_NAMES, pooled);
    },
    decoder: createDecoder(decoder, DECODER_NAMES),
    save: checkpoint.save,
  };
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
