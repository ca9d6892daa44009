import type { DecoderConfig } from '../nn/index.js';
import type { BackboneConfigV1 } from '../spec.js';
import { defaultTaps } from './default-taps.js';

/** What a family says of its published models. */
export interface FamilyDefaults {
  readonly learningRates: BackboneConfigV1['learningRates'];
  /** Names of published models by layers and width of the decoder, for example `36x2048`. */
  readonly models: Readonly<Record<string, string>>;
  /** Tapped layers by number of layers; other depths take the paper's fractions. */
  readonly taps?: Readonly<Record<number, readonly number[]>>;
}

export interface BackboneParts
  extends Pick<BackboneConfigV1, 'positionRows' | 'visionBlocks' | 'generation'> {
  readonly decoder: DecoderConfig;
}

/** What a backbone says of itself. */
export function backboneConfigOf(
  { decoder, ...parts }: BackboneParts,
  { learningRates, models, taps }: FamilyDefaults,
): BackboneConfigV1 {
  const { layers, hiddenSize, vocabularySize, heads, kvHeads, headDim } = decoder;
  const model = models[`${layers}x${hiddenSize}`];
  return {
    ...(model !== undefined && { model }),
    ...{ layers, hiddenSize, vocabularySize, heads, kvHeads, headDim },
    ...parts,
    learningRates,
    defaultTaps: defaultTaps(layers, taps),
  };
}
