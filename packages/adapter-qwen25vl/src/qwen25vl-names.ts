import {
  type CheckpointContent,
  type DecoderNames,
  decoderShapes,
  renamed,
  type Shapes,
} from '@spatialsv/core/kit';
import type { ParameterGroup } from '@spatialsv/core/spec';
import type { Qwen25VlConfig } from './qwen25vl-config.js';
import { MERGER, visionShapes } from './qwen25vl-vision.js';

/** Where the decoder lies in published files. */
export const DECODER_NAMES: DecoderNames = { model: 'model', head: 'lm_head.weight' };

/** In-memory prefixes of transformers ≥ 4.52 beside the published ones. */
const PREFIXES = [
  { inMemory: 'model.visual.', published: 'visual.' },
  { inMemory: 'model.language_model.', published: 'model.' },
] as const;

/** Published name of a tensor that a file may hold under its in-memory name. Published names stay as they are. */
export function publishedName(name: string): string {
  const prefix = PREFIXES.find(({ inMemory }) => name.startsWith(inMemory));
  return prefix === undefined ? name : prefix.published + name.slice(prefix.inMemory.length);
}

/** In-memory name (transformers ≥ 4.52) of a published one; the inverse of {@link publishedName}. */
export function inMemoryName(name: string): string {
  const prefix = PREFIXES.find(({ published }) => name.startsWith(published));
  return prefix === undefined ? name : prefix.inMemory + name.slice(prefix.published.length);
}

/** Learning-rate group of a published name; every tensor of this family belongs to one of the three. */
export function parameterGroup(name: string): ParameterGroup {
  if (name.startsWith(`${MERGER}.`)) return 'projector';
  return name.startsWith('visual.') ? 'vision' : 'language-model';
}

/** Every tensor of a checkpoint with its shape, by published name. Linear weights are (out, in). */
export function qwen25VlShapes(config: Qwen25VlConfig): Shapes {
  return { ...visionShapes(config.vision), ...decoderShapes(config.decoder, DECODER_NAMES) };
}

/** What a checkpoint folder holds, under published or in-memory names. */
export const checkpointContent = (config: Qwen25VlConfig): CheckpointContent => ({
  shapes: qwen25VlShapes({ ...config, decoder: { ...config.decoder, tieHead: false } }),
  names: renamed(publishedName),
  tied: {
    name: DECODER_NAMES.head,
    source: `${DECODER_NAMES.model}.embed_tokens.weight`,
    isTied: config.decoder.tieHead,
  },
});
