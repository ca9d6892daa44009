import { layerShapes, type Shapes, shapesBelow } from '../nn/index.js';

/** Sizes of a DPT head. */
export interface DptSizes {
  /** Channels of the four taps. */
  readonly inputs: number;
  /** Channels of the four stages, shallow to deep. */
  readonly stages: readonly number[];
  /** Common channels of the pyramid. */
  readonly features: number;
  /** Channels before the last convolution. */
  readonly hidden: number;
  readonly outputs: number;
}

/**
 * Every tensor of a DPT head with its shape, named as VGGT names them. Linear weights are (out, in), convolutions
 * (out, in, k, k), transposed ones (in, out, k, k).
 */
export function dptShapes({ inputs, stages, features, hidden, outputs }: DptSizes): Shapes {
  const [first, second, , fourth] = stages as [number, number, number, number];
  const projections = stages.map((width, k) => layerShapes(`projects.${k}`, [width, inputs, 1, 1]));
  const laterals = stages.map((width, k) =>
    layerShapes(`layer${k + 1}_rn`, [features, width, 3, 3], false),
  );
  const scratch = Object.assign(
    {},
    ...laterals,
    dptFusionShapes(features),
    layerShapes('output_conv1', [features / 2, features, 3, 3]),
    dptOutputShapes('output_conv2', { features, hidden, outputs }),
  );
  return {
    ...Object.assign({}, ...projections),
    ...layerShapes('resize_layers.0', [first, first, 4, 4]),
    ...layerShapes('resize_layers.1', [second, second, 2, 2]),
    ...layerShapes('resize_layers.3', [fourth, fourth, 3, 3]),
    ...shapesBelow('scratch', scratch),
  };
}

/**
 * The fusion blocks. The deepest level has no finer path to add, hence one residual unit only.
 * @param chain ending of their names, for heads with several chains.
 */
export function dptFusionShapes(features: number, chain = ''): Shapes {
  const unit = (name: string): Shapes => ({
    ...layerShapes(`${name}.conv1`, [features, features, 3, 3]),
    ...layerShapes(`${name}.conv2`, [features, features, 3, 3]),
  });
  const levels = [1, 2, 3, 4].map((level) =>
    shapesBelow(`refinenet${level}${chain}`, {
      ...layerShapes('out_conv', [features, features, 1, 1]),
      ...(level < 4 ? unit('resConfUnit1') : {}),
      ...unit('resConfUnit2'),
    }),
  );
  return Object.assign({}, ...levels);
}

/** The last two convolutions. */
export const dptOutputShapes = (
  name: string,
  { features, hidden, outputs }: Pick<DptSizes, 'features' | 'hidden' | 'outputs'>,
): Shapes => ({
  ...layerShapes(`${name}.0`, [hidden, features / 2, 3, 3]),
  ...layerShapes(`${name}.2`, [outputs, hidden, 1, 1]),
});
