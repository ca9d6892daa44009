/** Parameters as contracts pass them; a part of `spec.ts`: types alone. */
import type { Tensor } from '@spatialsv/engine';

/** Tensors by full checkpoint name, for example `model.layers.0.mlp.up_proj.weight`. */
export type Parameters = Readonly<Record<string, Tensor>>;

/** Host values of new parameters by name. */
export type ParameterValues = Record<string, { data: Float32Array; shape: readonly number[] }>;

export type ParameterGroup = 'vision' | 'projector' | 'language-model' | 'spatial';
