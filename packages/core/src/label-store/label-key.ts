import { createHash } from 'node:crypto';
import { canonicalJson } from '../canonical-json.js';
import type { LabelProvenanceV1 } from '../spec.js';

/** Changes when the same request has to get another key. */
const KEY_VERSION = 1;

export interface LabelKeyRequest {
  /** SHA-256 of the image files in prompt order, lower-case hexadecimal. */
  readonly images: readonly string[];
  readonly provenance: LabelProvenanceV1;
  /** Size that was asked for; absent where the source chooses. */
  readonly height?: number;
  readonly width?: number;
}

/**
 * Key of the labels that a source would make of these images: SHA-256 of the canonical JSON of everything that changes
 * a value. Equal for equal content in any folder; the licence is not part of it.
 * @returns 64 lower-case hexadecimal digits.
 * @throws SpatialError CONFIG_INVALID for settings that are not JSON.
 */
export const labelKey = (request: LabelKeyRequest): string => {
  const { source, model, settings, weightsSha256 } = request.provenance;
  const { images, height, width } = request;
  const content = {
    keyVersion: KEY_VERSION,
    images,
    source,
    model,
    settings,
    weightsSha256,
    height,
    width,
  };
  return createHash('sha256').update(canonicalJson(content)).digest('hex');
};
