/**
 * Names in the checkpoints of transformers' LLaVA classes. Published files (4.x) name the parts at the top; models in memory
 * (4.52 and later) put them below `model.`, and 5.x leaves `vision_model.` out.
 */
import { groupOf, type ModelNames } from './model-names.js';

export const NATIVE_NAMES: ModelNames = {
  vision: 'vision_tower.vision_model',
  projector: 'multi_modal_projector',
  ofProjector: { first: 'linear_1', second: 'linear_2' },
  newline: 'image_newline',
  decoder: { model: 'language_model.model', head: 'language_model.lm_head.weight' },
};

/** Learning-rate group of a published name. */
export const parameterGroup = groupOf(NATIVE_NAMES);

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
