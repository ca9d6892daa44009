import { SpatialError } from '../errors.js';
import type { BackboneConfigV1, DecoderSite, TapSite, ViewSite } from '../spec.js';

type Depths = Pick<BackboneConfigV1, 'layers' | 'visionBlocks'>;

export const isViewSite = (site: TapSite): site is ViewSite =>
  site === 'projector' || site.startsWith('vision:');

/** K of `layer:K` and `vision:K`. */
export const siteIndex = (site: TapSite): number => Number(site.slice(site.indexOf(':') + 1));

/**
 * Site of a layer in the paper's numbering: 0 = embeddings, K = after K blocks, L = after the final norm.
 * @param layers L.
 * @throws SpatialError TAP_UNKNOWN.
 */
export function siteOfLayer(layer: number, layers: number): DecoderSite {
  if (!Number.isInteger(layer) || layer < 0 || layer > layers) throw unknownLayer(layer, layers);
  if (layer === 0) return 'embedding';
  return layer === layers ? 'final' : `layer:${layer}`;
}

/**
 * Inverse of {@link siteOfLayer}.
 * @throws SpatialError TAP_UNKNOWN for a site that this decoder does not have.
 */
export function layerOfSite(site: DecoderSite, layers: number): number {
  if (site === 'embedding') return 0;
  if (site === 'final') return layers;
  const layer = siteIndex(site);
  if (siteOfLayer(layer, layers) !== site) throw unknownLayer(layer, layers);
  return layer;
}

/**
 * The site that a text names: `embedding`, `layer:K`, `final`, `vision:K` or `projector`.
 * @throws SpatialError TAP_UNKNOWN for another text, or a number that this backbone does not have.
 */
export function parseTapSite(text: string, depths: Depths): TapSite {
  if (text === 'embedding' || text === 'final' || text === 'projector') return text;
  const [, kind, digits] = /^(layer|vision):(\d+)$/.exec(text) ?? [];
  const index = Number(digits);
  if (kind === 'layer' && index >= 1 && index < depths.layers) return `layer:${index}`;
  if (kind === 'vision' && index <= depths.visionBlocks) return `vision:${index}`;
  throw unknownSite(text, depths);
}

/**
 * The layer that a number in the paper's numbering, or the name of a site of the decoder, stands for.
 * @throws SpatialError TAP_UNKNOWN for what this decoder does not have, sites of views among it.
 */
export function parseLayer(tap: number | string, depths: Depths): number {
  const { layers } = depths;
  if (typeof tap === 'number') return layerOfSite(siteOfLayer(tap, layers), layers);
  const site = parseTapSite(tap, depths);
  if (!isViewSite(site)) return layerOfSite(site, layers);
  throw new SpatialError({
    code: 'TAP_UNKNOWN',
    message: `tap "${tap}": expected a layer of the decoder (0 … ${layers}, ${decoderSites(depths)}), found a site of views`,
    hint: 'Heads read the decoder; `spatialsv taps` writes the states of views.',
  });
}

function unknownSite(text: string, depths: Depths): SpatialError {
  const { layers, visionBlocks } = depths;
  return new SpatialError({
    code: 'TAP_UNKNOWN',
    message: `tap "${text}": expected ${decoderSites(depths)}, vision:0 … vision:${visionBlocks} or projector`,
    hint: `This model has ${layers} decoder layers and ${visionBlocks} vision blocks.`,
  });
}

const decoderSites = ({ layers }: Depths): string =>
  `embedding, ${layers > 1 ? `layer:1 … layer:${layers - 1}, ` : ''}final`;

const unknownLayer = (layer: number, layers: number): SpatialError =>
  new SpatialError({
    code: 'TAP_UNKNOWN',
    message: `layer ${layer}: expected an integer from 0 (embeddings) to ${layers} (after the final norm)`,
    hint: `This decoder has ${layers} layers; choose taps among 0 … ${layers}.`,
  });
