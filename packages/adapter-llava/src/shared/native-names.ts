/**
 * Names in the checkpoints of transformers' LLaVA classes. Published files (4.x) name the parts at the top; models in memory
 * (4.52 and later) put them below `model.`, and 5.x leaves `vision_model.` out.
 */
import type { DecoderNames } from '@spatialsv/core/kit';
import type { ParameterGroup } from '@spatialsv/core/spec';
import type { ProjectorNames } from './projector.js';

export const VISION = 'vision_tower.vision_model';
export const PROJECTOR = 'multi_modal_projector';
export const NEWLINE = 'image_newline';
export const PROJECTOR_NAMES: ProjectorNames = { first: 'linear_1', second: 'linear_2' };
export const DECODER_NAMES: DecoderNames = {
  model: 'language_model.model',
  head: 'language_model.lm_head.weight',
};

/** First rule that matches; published names stay as they are. */
const RULES: readonly (readonly [other: RegExp, published: string])[] = [
  [/^(model\.)?vision_tower\.(vision_model\.)?/, 'vision_tower.vision_model.'],
  [/^(model\.)?multi_modal_projector\./, 'multi_modal_projector.'],
  [/^(model\.)?image_newline$/, 'image_newline'],
  [/^(language_model\.)?lm_head\./, 'language_model.lm_head.'],
  [/^(model\.)?language_model\.(model\.)?/, 'language_model.model.'],
];

/** Published name of a tensor that a file may hold under another one. */
export function publishedName(name: string): string {
  const rule = RULES.find(([other]) => other.test(name));
  return rule === undefined ? name : name.replace(rule[0], rule[1]);
}

/** Learning-rate group of a published name. */
export function parameterGroup(name: string): ParameterGroup {
  if (name.startsWith('vision_tower.')) return 'vision';
  return name === NEWLINE || name.startsWith(`${PROJECTOR}.`) ? 'projector' : 'language-model';
}
