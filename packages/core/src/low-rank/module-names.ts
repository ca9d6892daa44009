/** Layouts whose published names are those of the modules of their own code, by a name that only they have. */
const OWN_CODE = [/^mlp1\./, /^model\.mm_projector\./];

/** From the names of published files to those of the modules that `transformers` builds of them. */
const RULES: readonly (readonly [pattern: RegExp, module: string])[] = [
  [/^language_model\.model\./, 'model.language_model.'],
  [/^language_model\.lm_head\./, 'lm_head.'],
  [/^(visual|vision_tower|multi_modal_projector)\./, 'model.$1.'],
  [/^model\.(layers|embed_tokens|norm)\./, 'model.language_model.$1.'],
];

/**
 * Name of a weight or module in the model that `transformers` opens a checkpoint as, from its published name: adapters of PEFT
 * name modules of that model.
 * @param published names of all weights of the checkpoint, which tell its layout.
 */
export function moduleNamer(published: readonly string[]): (name: string) => string {
  if (OWN_CODE.some((pattern) => published.some((name) => pattern.test(name))))
    return (name) => name;
  return (name) => {
    const rule = RULES.find(([pattern]) => pattern.test(name));
    return rule === undefined ? name : name.replace(rule[0], rule[1]);
  };
}
