import {
  type CheckpointContent,
  type DecoderNames,
  decoderShapes,
  groupsByScope,
  renamed,
  replacePrefix,
  type Shapes,
  tiedContent,
} from '@spatialsv/core/kit';
import type { InternVl3Config } from './internvl3-config.js';
import { VISION_NAMES, visionShapes } from './internvl3-vision.js';

/** Where the decoder lies in published files of both layouts. */
export const DECODER_NAMES: DecoderNames = {
  model: 'language_model.model',
  head: 'language_model.lm_head.weight',
};

/**
 * In-memory prefixes of transformers ≥ 4.52, and the published ones; original checkpoints have no others. Releases around
 * transformers 5.5 save the decoder under a mixture of both, which comes first.
 */
const PREFIXES = [
  ['model.language_model.model.', 'language_model.model.'],
  ['model.vision_tower.', 'vision_tower.'],
  ['model.multi_modal_projector.', 'multi_modal_projector.'],
  ['model.language_model.', 'language_model.model.'],
  ['lm_head.', 'language_model.lm_head.'],
] as const;

/** Published name of a tensor that a file may hold under its in-memory name. Published names stay as they are. */
export const publishedName = (name: string): string => replacePrefix(name, PREFIXES);

const { original, native } = VISION_NAMES;
/** Learning-rate group of a published name of either layout. */
export const parameterGroup = groupsByScope({
  vision: [original.tower, native.tower],
  projector: [original.projector, native.projector],
});

/** Every tensor of a checkpoint with its shape, by the published name of its layout. Linear weights are (out, in). */
export const internVl3Shapes = ({ layout, vision, decoder }: InternVl3Config): Shapes => ({
  ...visionShapes(vision, VISION_NAMES[layout]),
  ...decoderShapes(decoder, DECODER_NAMES),
});

/** What a checkpoint folder holds. */
export const checkpointContent = (config: InternVl3Config): CheckpointContent => ({
  ...tiedContent(config, internVl3Shapes, DECODER_NAMES),
  ...(config.layout === 'native' && { names: renamed(publishedName) }),
});
