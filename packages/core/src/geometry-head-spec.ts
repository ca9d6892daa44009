/** The contract of 3D heads, a part of `spec.ts`: types alone. */
import type { Tensor } from '@spatialsv/engine';
import type { ContributionBaseV1 } from './contribution-spec.js';
import type { Parameters, ParameterValues } from './parameters-spec.js';

export type GeometryTaskV1 = 'depth' | 'ray' | 'point';

/**
 * What a head says of V views, for the tasks that it was asked for, in the scale and frame of the labels. Confidences
 * weigh the losses of equations 10 to 12 and are at least 1.
 */
export type GeometryPredictionV1 = {
  /** (V, H, W) z-depth > 0. */
  readonly depth?: Tensor;
  /** (V, H, W). */
  readonly depthConfidence?: Tensor;
  /** (V, H, W, 6) origin, then direction with camera z = 1 (not normalised). */
  readonly rays?: Tensor;
  /** (V, H, W). */
  readonly rayConfidence?: Tensor;
  /** (V, H, W, 3) in the world frame of the labels. */
  readonly points?: Tensor;
  /** (V, H, W). */
  readonly pointConfidence?: Tensor;
};

/** Pixels of predicted maps. */
export interface MapSizeV1 {
  readonly height: number;
  readonly width: number;
}

/** A head with its options. Its function over tensors is a pure program, as those of `BackboneV1` are. */
export interface GeometryHeadModelV1 {
  readonly headId: string;
  /** JSON object with every default filled in: what is written beside the weights. `configure` takes it back. */
  readonly options: Readonly<Record<string, unknown>>;
  /** The tasks that these options leave. */
  readonly tasks: readonly GeometryTaskV1[];
  /** Tapped layers that these options take. */
  readonly tapCount: number;
  /** Size at which the maps of a token grid of h × w cells are learnt. */
  outputSize(grid: { readonly h: number; readonly w: number }): MapSizeV1;
  /**
   * Fresh parameters, equal for equal seeds. Every name begins with `spatial.`; `spatial.distill.` is taken by the
   * projector of equation 2.
   * @param channelsPerTap channels of the `tapCount` tapped layers, shallow to deep.
   * @throws SpatialError SHAPE_MISMATCH for widths that the options do not allow.
   */
  initialise(channelsPerTap: readonly number[], seed: number): ParameterValues;
  /**
   * Projects tapped layers (eq. 3) and decodes them to maps (eq. 4), activations included.
   * @param parameters named as `initialise` names them.
   * @param taps `tapCount` (V, h, w, C) float32 maps of one grid, shallow to deep.
   * @param outputSize of the maps; usually, but not always, `outputSize` of this grid.
   * @param tasks subset of `tasks`; all of them where absent.
   * @throws SpatialError SHAPE_MISMATCH, WEIGHT_MISSING.
   */
  doPredict(
    parameters: Parameters,
    taps: readonly Tensor[],
    outputSize: MapSizeV1,
    tasks?: readonly GeometryTaskV1[],
  ): GeometryPredictionV1;
}

/** What lifts tapped hidden states to 3D: projectors and dense heads (eq. 3 and 4). */
export interface GeometryHeadV1 extends ContributionBaseV1<'geometry-head'> {
  /** Tasks that it can be configured for. */
  readonly predicts: readonly GeometryTaskV1[];
  /**
   * @param options what a configuration has under `heads` besides `type`; every default where it is `{}`.
   * @returns at once, or when the code of the heads is loaded.
   * @throws SpatialError CONFIG_INVALID for options that it does not know or that do not fit together.
   */
  configure(options: unknown): GeometryHeadModelV1 | Promise<GeometryHeadModelV1>;
}
