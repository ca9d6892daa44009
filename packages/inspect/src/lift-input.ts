import type { GeometryConventionsV1, GeometryLabelsV1, RgbImage } from '@spatialsv/core';
import type { ViewCamera } from './cameras.js';
import type { CoveredRectangle } from './point-cloud.js';
import type { PageFact } from './report/format.js';

/** What the 3D heads of a model say about one view set. */
export interface LiftPredictions {
  readonly conventions: GeometryConventionsV1;
  readonly views: number;
  readonly height: number;
  readonly width: number;
  /** (V, H, W) z-depth. */
  readonly depth: Float32Array;
  /** (V, H, W) > 0. */
  readonly depthConfidence?: Float32Array;
  /** (V, H, W, 6) origin then direction. */
  readonly rays?: Float32Array;
  /** (V, H, W) > 0. */
  readonly rayConfidence?: Float32Array;
  /** (V, H, W, 3) world frame. */
  readonly points?: Float32Array;
  /** (V, H, W) > 0. */
  readonly pointConfidence?: Float32Array;
}

export interface LiftInput {
  readonly title: string;
  readonly subtitle?: string;
  /** Shown on top of the page, for example that the heads are untrained. */
  readonly notice?: string;
  readonly predictions: LiftPredictions;
  /** One image per view. */
  readonly images: readonly RgbImage[];
  /** Part of each image that the maps cover; the whole image where absent. */
  readonly covered?: readonly CoveredRectangle[];
  /** One camera per view at the resolution of the maps; solved from the ray map where absent. */
  readonly cameras?: readonly (ViewCamera | undefined)[];
  /** How the cameras were found; goes into `cameras.json`. */
  readonly camerasFrom?: string;
  /** Labels of the same view set at the resolution and in the scale of the predictions. */
  readonly labels?: GeometryLabelsV1;
  /** What was asked about the views, and answered. */
  readonly dialogue?: LiftDialogue;
  /** Where the maps come from. */
  readonly provenance?: readonly PageFact[];
}

/** A question about the views. */
export interface LiftDialogue {
  readonly question: string;
  readonly answer?: string | undefined;
  readonly expected?: string | undefined;
  /** Whether the answer is right, where that is known. */
  readonly correct?: boolean | undefined;
}
