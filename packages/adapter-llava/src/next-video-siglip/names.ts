import {
  type CheckpointContent,
  CLIP_NAMES,
  type DecoderNames,
  decoderShapes,
  type Shapes,
  shapesBelow,
  towerShapes,
} from '@spatialsv/core/kit';
import type { ParameterGroup } from '@spatialsv/core/spec';
import { type ProjectorNames, projectorShapes } from '../shared/projector.js';
import { isIdle } from '../shared/towers.js';
import type { NextVideoSiglipConfig } from './config.js';

/** Where the parts lie in published files. */
export const VISION = 'model.vision_tower.vision_tower.vision_model';
export const PROJECTOR = 'model.mm_projector';
export const PROJECTOR_NAMES: ProjectorNames = { first: '0', second: '2' };
export const NEWLINE = 'model.image_newline';
export const DECODER_NAMES: DecoderNames = { model: 'model', head: 'lm_head.weight' };

/** Learning-rate group of a tensor. */
export function parameterGroup(name: string): ParameterGroup {
  if (name.startsWith('model.vision_tower.')) return 'vision';
  return name === NEWLINE || name.startsWith(`${PROJECTOR}.`) ? 'projector' : 'language-model';
}

/** Every tensor that the model reads with its shape. Linear weights are (out, in). */
export function nextVideoSiglipShapes(config: NextVideoSiglipConfig): Shapes {
  const { decoder, vision } = config;
  const { width } = vision.tower;
  return {
    ...shapesBelow(VISION, towerShapes(vision.tower, CLIP_NAMES)),
    ...shapesBelow(PROJECTOR, projectorShapes(PROJECTOR_NAMES, width, decoder.hiddenSize)),
    ...(readsNewline(config) ? { [NEWLINE]: [decoder.hiddenSize] } : {}),
    ...decoderShapes(decoder, DECODER_NAMES),
  };
}

const readsNewline = ({ newline }: NextVideoSiglipConfig): boolean => newline !== 'no_token';

/** What a checkpoint folder holds; files with and without the block that never runs are alike. */
export const checkpointContent = (config: NextVideoSiglipConfig): CheckpointContent => ({
  shapes: nextVideoSiglipShapes({ ...config, decoder: { ...config.decoder, tieHead: false } }),
  isUnread: (name) =>
    (name === NEWLINE && config.hasNewline && !readsNewline(config)) ||
    (name.startsWith(`${VISION}.`) && isIdle(config.vision, name.slice(VISION.length + 1))),
  tied: {
    name: DECODER_NAMES.head,
    source: `${DECODER_NAMES.model}.embed_tokens.weight`,
    isTied: config.decoder.tieHead,
  },
});
