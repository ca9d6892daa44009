/** What goes into the network and what comes out. */
import type { KnownCameras } from './da3-cameras.js';
import type { ReferenceView } from './da3-reference-view.js';

export interface PredictOptions {
  /** Known cameras, as `normaliseCameras` gives them. Networks of one image ignore them. */
  readonly cameras?: KnownCameras;
  /** Choice of the reference view, for three views or more without known cameras; `saddle_balanced` where absent. */
  readonly referenceView?: ReferenceView;
  /** `false` leaves out the ray branch, about half of the work of the dense head. */
  readonly rays?: boolean;
  /** Tokens of the last tap: as the head takes them (`last-tap`), or their normalised half (`norm`). None where absent. */
  readonly features?: 'last-tap' | 'norm' | false;
  readonly signal?: AbortSignal;
}

/** Views of one size. */
export interface Da3Views {
  readonly views: number;
  /** Multiples of 14. */
  readonly height: number;
  readonly width: number;
  /** (H, W, 3) of each view, ImageNet-normalised. */
  readonly pixels: readonly Float32Array[];
}

export interface FeatureMaps {
  /** (V, h, w, C). */
  readonly data: Float32Array;
  readonly h: number;
  readonly w: number;
  readonly channels: number;
}

/** What one network says. Maps of the input's size unless said; pixel centres at half numbers. */
export interface NetworkOutputs {
  /** (V, H, W) z-depth. */
  readonly depth: Float32Array;
  /** (V, H, W) ≥ 1. */
  readonly depthConfidence?: Float32Array;
  /** (V, h, w, 6) at 4/7 of the input's size: origin, then direction with camera z = 1, in the network's world frame. */
  readonly rays?: FeatureMaps;
  /** (V, h, w) > 1. */
  readonly rayConfidence?: Float32Array;
  /** (V, 9) camera centre, quaternion xyzw of camera-to-world, vertical and horizontal field of view in rad. */
  readonly pose?: Float32Array;
  /** (V, 3, 4) world-to-camera, OpenCV axes. */
  readonly extrinsics?: Float32Array;
  /** (V, 3, 3) pixels of the input. */
  readonly intrinsics?: Float32Array;
  /** (V, H, W) ≥ 0; 0.3 and more is sky. */
  readonly sky?: Float32Array;
  readonly features?: FeatureMaps;
}

export interface Da3Prediction extends NetworkOutputs {
  readonly views: number;
  readonly height: number;
  readonly width: number;
  /** Metres per unit of the any-view network, in nested models; depth, extrinsics and ray origins are in metres. */
  readonly metresPerUnit?: number;
}
