import { type DecoderNames, decoderShapes, type ParameterGroup } from '@spatialsv/core';
import type { Qwen25VlConfig, VisionConfig } from './qwen25vl-config.js';

/** Where the decoder lies in published files. */
export const DECODER_NAMES: DecoderNames = { model: 'model', head: 'lm_head.weight' };
export const VISION_PREFIX = 'visual';
export const MERGER_PREFIX = 'visual.merger';

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

/** Tables that some files store although they follow from the configuration. */
export const isBuffer = (name: string): boolean =>
  /(^|\.)(inv_freq|original_inv_freq|position_ids)$/.test(name);

/** Learning-rate group of a published name; every tensor of this family belongs to one of the three. */
export function parameterGroup(name: string): ParameterGroup {
  if (name.startsWith(`${MERGER_PREFIX}.`)) return 'projector';
  return name.startsWith(`${VISION_PREFIX}.`) ? 'vision' : 'language-model';
}

/** Every tensor of a checkpoint with its shape, by published name. Linear weights are (out, in). */
export function qwen25VlShapes(config: Qwen25VlConfig): Record<string, readonly number[]> {
  return { ...visionShapes(config.vision), ...decoderShapes(config.decoder, DECODER_NAMES) };
}

function visionShapes(vision: VisionConfig): Record<string, readonly number[]> {
  const { hiddenSize, patchSize, channels, temporalPatchSize } = vision;
  const shapes: Record<string, readonly number[]> = {};
  const patch = [hiddenSize, channels, temporalPatchSize, patchSize, patchSize];
  shapes[`${VISION_PREFIX}.patch_embed.proj.weight`] = patch;
  for (let block = 0; block < vision.depth; block++) {
    for (const [name, shape] of Object.entries(visionBlockShapes(vision))) {
      shapes[`${VISION_PREFIX}.blocks.${block}.${name}`] = shape;
    }
  }
  for (const [name, shape] of Object.entries(mergerShapes(vision))) {
    shapes[`${MERGER_PREFIX}.${name}`] = shape;
  }
  return shapes;
}

function visionBlockShapes(vision: VisionConfig): Record<string, readonly number[]> {
  const { hiddenSize, intermediateSize } = vision;
  return {
    'norm1.weight': [hiddenSize],
    'attn.qkv.weight': [3 * hiddenSize, hiddenSize],
    'attn.qkv.bias': [3 * hiddenSize],
    'attn.proj.weight': [hiddenSize, hiddenSize],
    'attn.proj.bias': [hiddenSize],
    'norm2.weight': [hiddenSize],
    'mlp.gate_proj.weight': [intermediateSize, hiddenSize],
    'mlp.gate_proj.bias': [intermediateSize],
    'mlp.up_proj.weight': [intermediateSize, hiddenSize],
    'mlp.up_proj.bias': [intermediateSize],
    'mlp.down_proj.weight': [hiddenSize, intermediateSize],
    'mlp.down_proj.bias': [hiddenSize],
  };
}

function mergerShapes(vision: VisionConfig): Record<string, readonly number[]> {
  const cell = vision.hiddenSize * vision.mergeSize ** 2;
  return {
    'ln_q.weight': [vision.hiddenSize],
    'mlp.0.weight': [cell, cell],
    'mlp.0.bias': [cell],
    'mlp.2.weight': [vision.outputSize, cell],
    'mlp.2.bias': [vision.outputSize],
  };
}
