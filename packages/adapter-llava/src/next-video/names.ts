import { type CheckpointContent, renamed, type Shapes } from '@spatialsv/core/kit';
import { contentOf, shapesOf } from '../shared/model-names.js';
import { NATIVE_NAMES, publishedName } from '../shared/native-names.js';
import type { NextVideoConfig } from './config.js';

/** Every tensor that the model reads with its shape, by published name. Linear weights are (out, in). */
export const nextVideoShapes = (config: NextVideoConfig): Shapes =>
  shapesOf(NATIVE_NAMES, config, false);

/** What a checkpoint folder holds, under published or in-memory names. The newline is that of still images. */
export const checkpointContent = (config: NextVideoConfig): CheckpointContent => ({
  ...contentOf(NATIVE_NAMES, config, false),
  names: renamed(publishedName),
});
