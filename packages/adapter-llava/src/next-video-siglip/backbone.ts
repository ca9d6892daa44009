import path from 'node:path';
import {
  createDecoder,
  HALF_STATISTICS,
  openCheckpoint,
  openTextCodec,
  parameterScope,
  parseBackboneSettings,
  readCheckpointConfig,
  readGenerationSettings,
  refuseExtremeShape,
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
import { llavaNextVideoSiglip } from '../plugin.js';
import { nextVideoBackboneConfig } from '../shared/backbone-config.js';
import { cellSide, endFrame, endRows, pooledSide, poolGrid } from '../shared/pooling.js';
import { project } from '../shared/projector.js';
import { encodeFrame } from '../shared/tower-states.js';
import {
  endsWithNewline,
  type FrameLayout,
  layOutVideo,
  type NewlinePosition,
  type VideoConfig,
} from '../shared/video.js';
import { type NextVideoSiglipConfig, parseNextVideoSiglipConfig } from './config.js';
import {
  checkpointContent,
  DECODER_NAMES,
  NEWLINE,
  PROJECTOR,
  PROJECTOR_NAMES,
  parameterGroup,
  VISION,
} from './names.js';
import { END_OF_TURN, encodePrompt } from './prompt.js';
import { settingsSchema } from './settings.js';

const PUBLISHED = { model: 'LLaVA-Video-7B-Qwen2', layers: 28, hiddenSize: 3584 };

/**
 * Opens a checkpoint folder of LLaVA-NeXT-Video with SigLIP and Qwen2. Weights stay in their files.
 * @throws SpatialError FILE_MISSING | FILE_INVALID | CONFIG_INVALID | WEIGHT_MISSING | WEIGHT_UNEXPECTED |
 *   SHAPE_MISMATCH.
 */
export async function openNextVideoSiglip(
  folder: string,
  options: OpenBackboneOptions = {},
): Promise<BackboneV1> {
  refusePixelBudget(llavaNextVideoSiglip.id, options, 'Frames have the size of the vision tower.');
  const settings = parseBackboneSettings(llavaNextVideoSiglip.id, settingsSchema, options);
  const raw = await readCheckpointConfig(folder);
  const parsed = withSettings(
    parseNextVideoSiglipConfig(raw, path.join(folder, 'config.json')),
    settings,
  );
  const checkpoint = await openCheckpoint(folder, checkpointContent(parsed));
  const config = { ...parsed, decoder: { ...parsed.decoder, tieHead: checkpoint.isTied } };
  const text = await openTextCodec(folder, {});
  const settled = await readGenerationSettings(folder, raw, text.encode(END_OF_TURN));
  // The original code generates from embeddings.
  const generation = { ...settled, penalisesPrompt: false };
  const { decoder, vision } = config;
  const video = videoConfig(config);
  const visionBlocks = vision.tower.depth;
  return {
    adapterId: llavaNextVideoSiglip.id,
    folder,
    config: nextVideoBackboneConfig({ decoder, visionBlocks, generation, published: PUBLISHED }),
    weights: checkpoint.weights,
    findings: checkpoint.findings,
    parameterGroup,
    prepare: async (conversation) =>
      layOutVideo(video, conversation.images, encodePrompt(text, conversation)),
    decodeTokens: text.decode,
    requireImageSize: ({ height, width, path: name }) => refuseExtremeShape(height, width, name),
    encodeView: (parameters, pixels, _layout, states) =>
      encodeFrame(vision, VISION, parameters, pixels, states),
    projectView: (parameters, features, layout) =>
      frameRows(config, video, { parameters, features, layout }),
    decoder: createDecoder(decoder, DECODER_NAMES),
    save: checkpoint.save,
  };
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
  const root = parameterScope(parameters);
  const projected = project(root.scope(PROJECTOR), PROJECTOR_NAMES, features);
  const pooled = poolGrid(projected, vision.side, pooling);
  if (video.newline === 'grid') return endRows(pooled, video.grid.side, root.get(NEWLINE));
  return endsWithNewline(video, layout as FrameLayout)
    ? endFrame(pooled, root.get(NEWLINE))
    : pooled;
}
