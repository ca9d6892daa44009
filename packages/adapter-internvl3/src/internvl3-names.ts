import {
  type CheckpointContent,
  type DecoderNames,
  decoderShapes,
  renamed,
  type Shapes,
} from '@spatialsv/core/kit';
import type { ParameterGroup } from '@spatialsv/core/spec';
import type { InternVl3Config } from './internvl3-config.js';
import { VISION_NAMES, visionShapes } from './internvl3-vision.js';

/** Where the decoder lies in published files of both layouts. */
export const DECODER_NAMES: DecoderNames = {
  model: 'language_model.model',
  head: 'language_model.lm_head.weight',
};

/** In-memory prefixes of transformers ≥ 4.52 beside the published ones; original checkpoints have no others. */
const PREFIXES = [
  { inMemory: 'model.vision_tower.', published: 'vision_tower.' },
  { inMemory: 'model.multi_modal_projector.', published: 'multi_modal_projector.' },
  { inMemory: 'model.language_model.', published: 'language_model.model.' },
  { inMemory: 'lm_head.', published: 'language_model.lm_head.' },
] as const;

/** Releases around transformers 5.5 save the decoder under a mixture of both. */
const MIXED = { inMemory: 'model.language_model.model.', published: 'language_model.model.' };

/** Published name of a tensor that a file may hold under its in-memory name. Published names stay as they are. */
export function publishedName(name: string): string {
  const prefix = [MIXED, ...PREFIXES].find(({ inMemory }) => name.startsWith(inMemory));
  return prefix === undefined ? name : prefix.published + name.slice(prefix.inMemory.length);
}

/** In-memory name (transformers ≥ 4.52) of a published one; the inverse of {@link publishedName}. */
export function inMemoryName(name: string): string {
  const prefix = PREFIXES.find(({ published }) => name.startsWith(published));
  return prefix === undefined ? name : prefix.inMemory + name.slice(prefix.published.length);
}

/** Learning-rate group of a published name of either layout. */
export function parameterGroup(name: string): ParameterGroup {
  const isBelow = (prefix: string) => name.startsWith(`${prefix}.`);
  const names = Object.values(VISION_NAMES);
  if (names.some(({ tower }) => isBelow(tower))) return 'vision';
  return names.some(({ projector }) => isBelow(projector)) ? 'projector' : 'language-model';
}

/** Every tensor of a checkpoint with its shape, by the published name of its layout. Linear weights are (out, in). */
export const internVl3Shapes = ({ layout, vision, decoder }: InternVl3Config): Shapes => ({
  ...visionShapes(vision, VISION_NAMES[layout]),
  ...decoderShapes(decoder, DECODER_NAMES),
});

/** What a checkpoint folder holds. */
export const checkpointContent = (config: InternVl3Config): CheckpointContent => ({
  shapes: internVl3Shapes({ ...config, decoder: { ...config.decoder, tieHead: false } }),
  ...(config.layout === 'native' && { names: renamed(publishedName) }),
  tied: {
    name: DECODER_NAMES.head,
    source: `${DECODER_NAMES.model}.embed_tokens.weight`,
    isTied: config.decoder.tieHead,
  },
});
