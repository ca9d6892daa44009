import { type BackboneConfigV1, parseLayer } from '@spatialsv/core';
import type { TrainConfig } from './schema.js';

/**
 * Layers that feed heads which take `count` of them, as numbers: 0 = embeddings … L = after the final norm.
 * @returns one named alone as often as they take layers; the backbone's own where none is named; none for no heads.
 * @throws SpatialError TAP_UNKNOWN.
 */
export function tappedLayers(
  { layers }: Pick<TrainConfig, 'layers'>,
  backbone: BackboneConfigV1,
  count: number,
): readonly number[] {
  if (count === 0) return [];
  if (layers === undefined) return backbone.defaultTaps;
  const asked = Array.isArray(layers) ? layers : Array(count).fill(layers);
  return asked.map((layer: string | number) => parseLayer(layer, backbone));
}
