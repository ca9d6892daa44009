import type { Qwen25VlTinyOptions } from '@spatialsv/adapter-qwen25vl';
import type { TrainConfigInput } from '@spatialsv/train';
import type { DatasetOptions } from '@spatialsv/vfm-synthetic';

/** Backbone family and label source of the demo, by id. */
export const DEMO_FAMILY = 'qwen2.5-vl';
export const DEMO_SOURCE = 'synthetic';

/** Everything that decides how long the demo takes and what it reaches. */
export interface DemoSettings {
  readonly seed: number;
  /** Side of the square images, pixels. */
  readonly imageSize: number;
  readonly rooms: Pick<
    DatasetOptions,
    | 'motions'
    | 'views'
    | 'categories'
    | 'maxImages'
    | 'colours'
    | 'walls'
    | 'objects'
    | 'questionsPerScene'
  >;
  readonly trainRooms: number;
  readonly heldOutRooms: number;
  /** Held-out questions asked before and after training, at most. */
  readonly heldOutQuestions: number;
  readonly model: Omit<Qwen25VlTinyOptions, 'folder' | 'seed' | 'corpus'>;
  readonly training: Pick<
    TrainConfigInput,
    'heads' | 'losses' | 'optimizer' | 'schedule' | 'batchSize' | 'source' | 'layers'
  >;
}

/** What the demo runs: minutes on two cores. */
export const DEMO: DemoSettings = {
  seed: 7,
  imageSize: 112,
  rooms: {
    motions: ['among', 'rotation'],
    views: 4,
    maxImages: 2,
    questionsPerScene: 8,
    categories: { 'view-wall': 2, 'camera-turn': 1, 'camera-move': 1 },
    colours: 'catalogue',
    walls: 'fixed',
  },
  trainRooms: 200,
  heldOutRooms: 40,
  heldOutQuestions: 240,
  model: {
    hiddenSize: 128,
    layers: 4,
    heads: 4,
    ropeTheta: 20,
    projectorGain: 1,
  },
  training: {
    source: { name: DEMO_SOURCE, every: 4, height: 56, width: 56 },
    heads: { preset: 'tiny', outputScale: 8 },
    losses: {
      // Text has few target tokens, the maps thousands of pixels: at equal weights the maps drown the text.
      weights: { text: 1, distillation: 0.1, depth: 0.1, ray: 0.1, point: 0.1 },
      outlierQuantile: null,
    },
    optimizer: {
      learningRates: { languageModel: 2e-3, projector: 2e-3, spatial: 2e-3 },
      betas: [0.9, 0.99],
    },
    schedule: { steps: 500, warmupRatio: 0.05 },
    batchSize: 8,
  },
};
