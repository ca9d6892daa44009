import type { SafetensorsDType } from '../safetensors/index.js';
import type { GeometryConventionsV1, GeometryLabelsV1, LabelProvenanceV1 } from '../spec.js';

/** An image as it was when it was labelled. */
export interface LabelledImage {
  /** As it was named then; the content, not the path, is what labels belong to. */
  readonly path: string;
  /** Of the file, lower-case hexadecimal. */
  readonly sha256: string;
  /** Pixels. */
  readonly width: number;
  readonly height: number;
}

/** Labels of one view set with everything that is known about their making. */
export interface StoredLabels {
  readonly labels: GeometryLabelsV1;
  readonly provenance: LabelProvenanceV1;
  /** One for each view, in prompt order. */
  readonly images: readonly LabelledImage[];
  /** ISO 8601, UTC. */
  readonly createdAt: string;
}

/** One array of stored labels, as it lies in the store. */
export interface StoredField {
  readonly name: string;
  readonly dtype: SafetensorsDType;
  readonly shape: readonly number[];
}

/** What a store knows of labels without decoding their arrays. */
export interface LabelSummary {
  readonly key: string;
  readonly images: readonly LabelledImage[];
  readonly provenance: LabelProvenanceV1;
  readonly createdAt: string;
  readonly conventions: GeometryConventionsV1;
  readonly views: number;
  /** Pixels of the label. */
  readonly height: number;
  readonly width: number;
  readonly fields: readonly StoredField[];
  /** Share of the pixels that are valid, 0 to 1. */
  readonly validShare: number;
  /** Of the stored value. */
  readonly bytes: number;
}
