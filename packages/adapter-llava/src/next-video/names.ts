import {
  type CheckpointContent,
  CLIP_NAMES,
  decoderShapes,
  renamed,
  type Shapes,
  shapesBelow,
  towerShapes,
} from '@spatialsv/core/kit';
import {
  DECODER_NAMES,
  NEWLINE,
  PROJECTOR,
  PROJECTOR_NAMES,
  publishedName,
  VISION,
} from '../shared/native-names.js';
import { projectorShapes } from '../shared/projector.js';
import { isIdle } from '../shared/towers.js';
import type { NextVideoConfig } from './config.js';

/** Every tensor that the model reads with its shape, by published name. Linear weights are (out, in). */
export function nextVideoShapes({ decoder, vision }: NextVideoConfig): Shapes {
  const { width } = vision.tower;
  return {
    ...shapesBelow(VISION, towerShapes(vision.tower, CLIP_NAMES)),
    ...shapesBelow(PROJECTOR, projectorShapes(PROJECTOR_NAMES, width, decoder.hiddenSize)),
    ...decoderShapes(decoder, DECODER_NAMES),
  };
}

/** What a checkpoint folder holds, under published or in-memory names. The newline is that of still images. */
export const checkpointContent = (config: NextVideoConfig): CheckpointContent => ({
  shapes: nextVideoShapes({ ...config, decoder: { ...config.decoder, tieHead: false } }),
  names: renamed(publishedName),
  isUnread: (name) =>
    name === NEWLINE ||
    (name.startsWith(`${VISION}.`) && isIdle(config.vision, name.slice(VISION.length + 1))),
  tied: {
    name: DECODER_NAMES.head,
    source: `${DECODER_NAMES.model}.embed_tokens.weight`,
    isTied: config.decoder.tieHead,
  },
});
