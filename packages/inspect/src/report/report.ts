import type { GeometryLabelsV1 } from '@spatialsv/core';
import type { ViewCamera } from '../cameras.js';
import type { LiftPhoto } from '../lift-file.js';
import type { LiftPredictions } from '../lift-input.js';
import type { PageData } from './format.js';

/** What a model sees of a view set, as a report takes it. */
export interface ScenePredictions {
  readonly maps: LiftPredictions;
  /** At the resolution of the maps; solved from the ray map where absent. */
  readonly cameras?: readonly (ViewCamera | undefined)[];
  /** (V, H, W, 3) world positions; depth along the ray map, the point map or through the cameras where absent. */
  readonly points?: Float32Array;
}

/** Everything about one view set. */
export interface ReportScene {
  /** One per view. */
  readonly photos: readonly LiftPhoto[];
  /** By run; undefined where the run has no lift of it. */
  readonly predictions: readonly (ScenePredictions | undefined)[];
  /** At the size and in the scale of the predictions. */
  readonly labels?: GeometryLabelsV1;
}

/** A report: questions, and the scenes that they are about, which are read one at a time. */
export interface Report extends Omit<PageData, 'scenes'> {
  /** Keys of the scenes, in the order in which questions are about them. Letters, digits, `-`, `_`, `@` and `.`. */
  readonly sceneKeys: readonly string[];
  /** Reads a scene. */
  readonly scene: (key: string) => Promise<ReportScene>;
}
