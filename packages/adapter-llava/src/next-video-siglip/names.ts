import type { CheckpointContent, Shapes } from '@spatialsv/core/kit';
import { contentOf, groupOf, type ModelNames, shapesOf } from '../shared/model-names.js';
import type { NextVideoSiglipConfig } from './config.js';

/** In published files. */
export const NAMES: ModelNames = {
  vision: 'model.vision_tower.vision_tower.vision_model',
  projector: 'model.mm_projector',
  ofProjector: { first: '0', second: '2' },
  newline: 'model.image_newline',
  decoder: { model: 'model', head: 'lm_head.weight' },
};

/** Learning-rate group of a tensor. */
export const parameterGroup = groupOf(NAMES);

const readsNewline = ({ newline }: NextVideoSiglipConfig): boolean => newline !== 'no_token';

/** Every tensor that the model reads with its shape. Linear weights are (out, in). */
export const nextVideoSiglipShapes = (config: NextVideoSiglipConfig): Shapes =>
  shapesOf(NAMES, config, readsNewline(config));

/** What a checkpoint folder holds; files with and without the block that never runs are alike. */
export function checkpointContent(config: NextVideoSiglipConfig): CheckpointContent {
  const content = contentOf(NAMES, config, readsNewline(config));
  const isNewline = (name: string) => name === NAMES.newline;
  // A checkpoint whose configuration knows of no newline has no place for one.
  return {
    ...content,
    isUnread: (name) => content.isUnread!(name) && (config.hasNewline || !isNewline(name)),
  };
}
