import type { TrainConfigInput } from '@spatialsv/train';
import type { DatasetOptions } from '@spatialsv/vfm-synthetic';

/** Everything that decides how long the demo takes and what it reaches. */
export interface DemoSettings {
  readonly seed: number;
  /** Side of the square pictures, pixels. */
  readonly imageSize: number;
  readonly rooms: Pick<
    DatasetOptions,
    'motions' | 'views' | 'categories' | 'maxImages' | 'colours' | 'walls' | 'objects'
  >;
  readonly trainRooms: number;
  readonly heldOutRooms: number;
  readonly questionsPerRoom: number;
  /** Held-out questions asked before and after training, at most. */
  readonly heldOutQuestions: number;
  /** Size of the decoder. */
  readonly model: {
    readonly hiddenSize: number;
    readonly layers: number;
    readonly heads: number;
  };
  readonly training: Pick<
    TrainConfigInput,
    'heads' | 'losses' | 'optimizer' | 'schedule' | 'batchSize' | 'source' | 'taps'
  >;
}

/** What the demo runs: minutes on two cores. */
export const DEMO: DemoSettings = {
  seed: 7,
  imageSize: 112,
  rooms: {
    motions: ['rotation', 'around'],
    views: 4,
    maxImages: 2,
    categories: { 'camera-turn': 1, 'camera-move': 1, 'view-side': 1 },
    colours: 'catalogue',
    walls: 'fixed',
  },
  trainRooms: 300,
  heldOutRooms: 40,
  questionsPerRoom: 8,
  heldOutQuestions: 240,
  model: { hiddenSize: 128, layers: 4, heads: 4 },
  training: {
    source: { name: 'synthetic', every: 4, height: 56, width: 56 },
    heads: { preset: 'tiny', outputScale: 8 },
    losses: { outlierQuantile: null },
    optimizer: {
      learningRates: { languageModel: 2e-3, projector: 2e-3, spatial: 2e-3 },
      betas: [0.9, 0.99],
    },
    schedule: { steps: 800, warmupRatio: 0.05 },
    batchSize: 8,
  },
};
