import { backboneConfigOf, type DecoderConfig } from '@spatialsv/core/kit';
import type { BackboneConfigV1, GenerationSettingsV1 } from '@spatialsv/core/spec';

/** Table 6 of the paper, LLaVA-NeXT-Video. */
const LEARNING_RATES = { languageModel: 1e-5, projector: 1e-5, spatial: 1e-5 };

/** Tap layers of both published depths (paper, Table 6). */
const PUBLISHED_TAPS = { 28: [4, 11, 18, 25], 32: [4, 11, 18, 25] };

export interface NextVideoParts {
  readonly decoder: DecoderConfig;
  /** Blocks of the vision tower that run. */
  readonly visionBlocks: number;
  readonly generation: GenerationSettingsV1;
  /** The published model, by the layers and the width of its decoder. */
  readonly published: {
    readonly model: string;
    readonly layers: number;
    readonly hiddenSize: number;
  };
}

/** What the two models named LLaVA-NeXT-Video say of themselves. */
export function nextVideoBackboneConfig(parts: NextVideoParts): BackboneConfigV1 {
  const { decoder, published, visionBlocks, generation } = parts;
  const models = { [`${published.layers}x${published.hiddenSize}`]: published.model };
  const described = { decoder, positionRows: 1, visionBlocks, generation } as const;
  return backboneConfigOf(described, {
    models,
    learningRates: LEARNING_RATES,
    taps: PUBLISHED_TAPS,
  });
}
