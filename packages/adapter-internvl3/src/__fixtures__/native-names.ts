/**
 * What the tensors of original checkpoints are called in the layout of transformers, so that golden weights, which are made
 * from those names, can be written in either layout. Written from the conversion script of transformers 4.52, apart from the
 * adapter's own names.
 */
const RULES: readonly (readonly [original: RegExp, native: string])[] = [
  [/^vision_model\.encoder\.layers\./, 'vision_tower.encoder.layer.'],
  [/^vision_model\./, 'vision_tower.'],
  [/\.class_embedding$/, '.cls_token'],
  [/\.patch_embedding\./, '.patch_embeddings.projection.'],
  [/\.position_embedding$/, '.position_embeddings'],
  [/\.ls(\d)$/, '.lambda_$1'],
  [/\.attn\.proj\./, '.attention.projection_layer.'],
  [/\.norm1\./, '.layernorm_before.'],
  [/\.norm2\./, '.layernorm_after.'],
  [/^mlp1\.0\./, 'multi_modal_projector.layer_norm.'],
  [/^mlp1\.1\./, 'multi_modal_projector.linear_1.'],
  [/^mlp1\.3\./, 'multi_modal_projector.linear_2.'],
];

/** The native tensors whose rows one original tensor holds, in their order: three for a fused qkv, else one. */
export function nativeNames(original: string): readonly string[] {
  const renamed = RULES.reduce((name, [pattern, native]) => name.replace(pattern, native), original);
  if (!renamed.includes('.attn.qkv.')) return [renamed];
  return ['q', 'k', 'v'].map((which) => renamed.replace('.attn.qkv.', `.attention.${which}_proj.`));
}

/** Prefixes of transformers ≥ 4.52 in memory, by those of published files. */
const IN_MEMORY: readonly (readonly [published: RegExp, inMemory: string])[] = [
  [/^vision_tower\./, 'model.vision_tower.'],
  [/^multi_modal_projector\./, 'model.multi_modal_projector.'],
  [/^language_model\.model\./, 'model.language_model.'],
  [/^language_model\.lm_head\./, 'lm_head.'],
];

/** In-memory name of a published one of that layout. */
export const inMemoryName = (published: string): string =>
  IN_MEMORY.reduce((name, [prefix, inMemory]) => name.replace(prefix, inMemory), published);
