import {
  HALF_STATISTICS,
  type JsonObject,
  openedBackbone,
  openModelFolder,
  openTextCodec,
  parameterScope,
  parseBackboneSettings,
  readGenerationSettings,
  refusePixelBudget,
  type Tensor,
} from '@spatialsv/core/kit';
import {
  type BackboneV1,
  type OpenBackboneOptions,
  type Parameters,
  SpatialError,
  type ViewLayoutV1,
} from '@spatialsv/core/spec';
import { NEXT_VIDEO_FAMILY } from '../shared/family.js';
import { projectRows } from '../shared/model-names.js';
import { cellSide, endFrame, endRows, pooledSide, poolGrid } from '../shared/pooling.js';
import { encodeFrame } from '../shared/tower-states.js';
import {
  endsWithNewline,
  type FrameLayout,
  layOutVideo,
  type NewlinePosition,
  type VideoConfig,
} from '../shared/video.js';
import { type NextVideoSiglipConfig, parseNextVideoSiglipConfig } from './config.js';
import { ADAPTER_ID } from './model-type.js';
import { checkpointContent, NAMES, parameterGroup } from './names.js';
import { END_OF_TURN, encodePrompt } from './prompt.js';
import { settingsSchema } from './settings.js';

/**
 * Opens a checkpoint folder of LLaVA-NeXT-Video with SigLIP and Qwen2. Weights stay in their files.
 * @throws SpatialError FILE_MISSING | FILE_INVALID | CONFIG_INVALID | WEIGHT_MISSING | WEIGHT_UNEXPECTED |
 *   SHAPE_MISMATCH.
 */
export async function openNextVideoSiglip(
  folder: string,
  options: OpenBackboneOptions = {},
): Promise<BackboneV1> {
  refusePixelBudget(ADAPTER_ID, options, 'Frames have the size of the vision tower.');
  const settings = parseBackboneSettings(ADAPTER_ID, settingsSchema, options);
  const parse = (json: JsonObject, where: string) =>
    withSettings(parseNextVideoSiglipConfig(json, where), settings);
  const { raw, config, checkpoint } = await openModelFolder(folder, parse, checkpointContent);
  const text = await openTextCodec(folder, {});
  const settled = await readGenerationSettings(folder, raw, text.encode(END_OF_TURN));
  // The original code generates from embeddings.
  const generation = { ...settled, penalisesPrompt: false };
  const { decoder, vision } = config;
  const video = videoConfig(config);
  return openedBackbone({
    ...{ adapterId: ADAPTER_ID, folder, checkpoint, text, decoder },
    decoderNames: NAMES.decoder,
    ...{ family: NEXT_VIDEO_FAMILY, visionBlocks: vision.tower.depth, generation },
    parameterGroup,
    prepare: async (conversation) =>
      layOutVideo(video, conversation.images, encodePrompt(text, conversation)),
    encodeView: (parameters, pixels, _layout, states) =>
      encodeFrame(vision, NAMES.vision, parameters, pixels, states),
    projectView: (parameters, features, layout) =>
      frameRows(config, video, { parameters, features, layout }),
  });
}

interface Settings {
  readonly pool?: NextVideoSiglipConfig['pooling']['mode'] | undefined;
  readonly newline?: NewlinePosition | undefined;
}

function withSettings(
  config: NextVideoSiglipConfig,
  { pool = config.pooling.mode, newline = config.newline }: Settings,
): NextVideoSiglipConfig {
  if (newline !== 'no_token' && !config.hasNewline) {
    throw new SpatialError({
      code: 'CONFIG_INVALID',
      message: `setting newline: expected no_token, found ${newline}: the checkpoint has no newline`,
      hint: 'Leave the setting out; only checkpoints with mm_patch_merge_type "spatial_unpad" have one.',
    });
  }
  return { ...config, newline, pooling: { ...config.pooling, mode: pool } };
}

function videoConfig({ vision, pooling, newline }: NextVideoSiglipConfig): VideoConfig {
  const { size: patchSize } = vision.tower.patch;
  const side = pooledSide(vision.side, pooling);
  return {
    // The folder needs no file for it: the original code has these constants.
    frame: { ...HALF_STATISTICS, size: vision.imageSize, patchSize, fit: 'squash' },
    grid: { side, cell: cellSide(vision.side, pooling) * patchSize },
    newline,
    key: pooling.mode,
  };
}

interface FrameFeatures {
  readonly parameters: Parameters;
  /** (P, Cv), row-major. */
  readonly features: Tensor;
  readonly layout: ViewLayoutV1;
}

/** Projector, then pooling, then newlines. @returns a row (C) for each position of the frame. */
function frameRows(
  { vision, pooling }: NextVideoSiglipConfig,
  video: VideoConfig,
  { parameters, features, layout }: FrameFeatures,
): Tensor {
  const projected = projectRows(NAMES, parameters, features);
  const pooled = poolGrid(projected, vision.side, pooling);
  const newline = () => parameterScope(parameters).get(NAMES.newline);
  if (video.newline === 'grid') return endRows(pooled, video.grid.side, newline());
  return endsWithNewline(video, layout as FrameLayout) ? endFrame(pooled, newline()) : pooled;
}
