import type { ParameterValues } from '../spec.js';

const WEIGHT = '.weight';

/** Low-rank updates of linear layers (arXiv:2106.09685): W + scale · B · A beside a frozen W. */
export interface LowRankAdapter {
  /** `M.lora_A.weight` (r, in) and `M.lora_B.weight` (out, r) of every layer M, by its published name, float32. */
  readonly updates: ParameterValues;
  /** Scale of the update of a layer. */
  readonly scales: Readonly<Record<string, number>>;
  /** Parameters that were trained as a whole, by published name. */
  readonly replaced: ParameterValues;
}

/** Names of the parts of an update, from the name of the layer. */
export const lowRankNames = (layer: string) => ({
  down: `${layer}.lora_A.weight`,
  up: `${layer}.lora_B.weight`,
  scale: `${layer}.lora_scale`,
  seed: `${layer}.lora_dropout`,
  keep: `${layer}.lora_keep`,
});

/** `x.weight` → `x`, the layer that it is the weight of. */
export const layerOfWeight = (name: string): string => name.slice(0, -WEIGHT.length);

export const isLowRankName = (name: string): boolean => /\.lora_[AB]\.weight$/.test(name);

/** Scale of an update as PEFT has it: α / r, or α / √r where the rank is to change nothing (rsLoRA, arXiv:2312.03732). */
export const lowRankScale = (rank: number, alpha: number, isRankStable = false): number =>
  alpha / (isRankStable ? Math.sqrt(rank) : rank);
