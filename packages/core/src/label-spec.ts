/** The contract of label sources, a part of `spec.ts`. */
import type { Precision } from '@spatialsv/engine';
import type { ContributionBaseV1 } from './contribution-spec.js';

/** What labels may hold. */
export const GEOMETRY_FIELDS = ['depth', 'ray-map', 'point-map', 'camera', 'feature'] as const;
export type GeometryFieldV1 = (typeof GEOMETRY_FIELDS)[number];

/** Travels with every geometric value; a mismatch is an error, never a silent conversion. */
export interface GeometryConventionsV1 {
  readonly axes: 'opencv';
  readonly extrinsics: 'world-to-camera';
  readonly pixelCentre: 'integer' | 'half';
  readonly depth: 'z-depth' | 'ray-length';
  readonly scale: 'metric-metres' | 'relative';
  readonly world: 'first-camera' | 'source';
}

/** Labels of one view set. All arrays row-major float32 unless said. */
export interface GeometryLabelsV1 {
  readonly conventions: GeometryConventionsV1;
  readonly views: number;
  readonly height: number;
  readonly width: number;
  /** (V, H, W). */
  readonly depth: Float32Array;
  /** (V, H, W), 1 where depth is valid. */
  readonly mask: Uint8Array;
  /** (V, 3, 3) pixels of the H×W label. */
  readonly intrinsics: Float32Array;
  /** (V, 3, 4) [R | t]. */
  readonly extrinsicsWorldToCamera: Float32Array;
  /** (V, H, W) > 0. */
  readonly depthConfidence?: Float32Array;
  /** Final-layer features for distillation, (V, h, w, C). */
  readonly features?: {
    readonly data: Float32Array;
    readonly h: number;
    readonly w: number;
    readonly channels: number;
  };
}

export interface LabelRequestV1 {
  /** Image paths in prompt order. */
  readonly images: readonly string[];
  /** Size of the labels; the source's own choice where absent, or where the source cannot resample. */
  readonly height?: number;
  readonly width?: number;
  readonly signal?: AbortSignal;
}

/** Licence of labels: that of the weights that made them. */
export interface LabelLicenceV1 {
  /** SPDX identifier where there is one, for example `Apache-2.0` or `CC-BY-NC-4.0`; `unknown` otherwise. */
  readonly name: string;
  /** Whether labels may be used commercially; `false` where nothing says so. */
  readonly commercialUse: boolean;
}

/** Who made labels, and how. Everything here that changes a value is part of the key of a label store. */
export interface LabelProvenanceV1 {
  /** Id of the source. */
  readonly source: string;
  /** Model within the source, for example `da3-small`. */
  readonly model: string;
  /** Every setting that changes a value, defaults filled in; JSON. */
  readonly settings: Readonly<Record<string, unknown>>;
  /** SHA-256 of the weights, lower-case hexadecimal, for sources that have any. */
  readonly weightsSha256?: string;
  readonly licence: LabelLicenceV1;
}

export interface OpenSourceOptions {
  /** Folder or file of the weights, for sources that have any. */
  readonly weights?: string;
  /** Device of the engine; `cpu` where absent. */
  readonly device?: string;
  /**
   * Of the network, where it is a program of ours; that of the device where absent. Other than float32 it is part of the settings
   * in the provenance of labels.
   */
  readonly precision?: Precision | undefined;
  /** The source's own settings; every default where absent. */
  readonly settings?: Readonly<Record<string, unknown>>;
}

/** A source that is ready: weights opened, settings fixed. */
export interface LabellerV1 {
  readonly sourceId: string;
  /** What these settings provide; a subset of the source's. */
  readonly provides: readonly GeometryFieldV1[];
  readonly provenance: LabelProvenanceV1;
  /** @throws SpatialError DATA_INVALID when the source has no geometry for an image. */
  doLabel(request: LabelRequestV1): Promise<GeometryLabelsV1>;
  /**
   * Identifies the labels that {@link doLabel} would give, equal for equal labels, without reading their arrays: of a
   * labeller whose labels were made before and may be replaced.
   * @throws SpatialError DATA_INVALID as {@link doLabel} does.
   */
  contentOf?(request: LabelRequestV1): Promise<string>;
  dispose(): Promise<void>;
}

export interface LabelSourceV1 extends ContributionBaseV1<'label-source'> {
  readonly provides: readonly GeometryFieldV1[];
  /**
   * @throws SpatialError USAGE without weights that it needs, FILE_MISSING, WEIGHT_MISSING, SHAPE_MISMATCH for weights that
   *   are not its own, CONFIG_INVALID for settings that it does not know.
   */
  open(options?: OpenSourceOptions): Promise<LabellerV1>;
  /** Writes small random weights with every structural feature, for sources that have weights. */
  writeTiny?(options: { readonly folder: string; readonly seed: number }): Promise<void>;
}
