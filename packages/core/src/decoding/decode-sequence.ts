import { type Tensor, tf } from '@spatialsv/engine';
import type { DecoderSite, DecoderV1, LayerCacheV1, Parameters } from '../spec.js';
import { layerParameters } from './layer-parameters.js';
import { layerOfSite, siteOfLayer } from './tap-sites.js';

export interface SequenceTensors {
  /** (T) int32. */
  readonly inputIds: Tensor;
  /** (T) int32: i for text token i, T + k for visual row k. */
  readonly spliceIndex?: Tensor;
  /** (N, C). */
  readonly visualRows?: Tensor;
}

/** Embeddings of a sequence, with the rows at image placeholders taken from the visual rows. @returns (T, C). */
export function embedSequence(
  decoder: DecoderV1,
  parameters: Parameters,
  { inputIds, spliceIndex, visualRows }: SequenceTensors,
): Tensor {
  const text = decoder.embed(parameters, inputIds);
  if (spliceIndex === undefined || visualRows === undefined) return text;
  return tf.gather(tf.concat([text, visualRows], 0), spliceIndex as tf.Tensor1D);
}

export interface DecodeInputs {
  /** (T, C) float32. */
  readonly embeddings: Tensor;
  /** (R, T) int32. */
  readonly positions: Tensor;
  /**
   * Incremental decoding: the cache by layer, (kvHeads, capacity, hd) each, and the slot (scalar int32) of the first of
   * the T new tokens. Without it the T tokens are a whole sequence.
   */
  readonly cache?: readonly LayerCacheV1[];
  readonly cacheSlot?: Tensor;
  /** (T) int32: several sequences one behind the other, as `segments` of a block's inputs. */
  readonly segments?: Tensor | undefined;
}

export interface DecodeRequest {
  readonly taps: readonly DecoderSite[];
  /** Whether the states after the final norm are wanted. */
  readonly last: boolean;
}

export interface DecodedSequence {
  /** The asked sites, (T, C) each. */
  readonly hidden: Readonly<Partial<Record<DecoderSite, Tensor>>>;
  /** (T, C) after the final norm, where asked for. */
  readonly last?: Tensor;
  /** Per layer that was run: keys and values of the T tokens (kvHeads, T, hd), or the updated cache. */
  readonly cache: readonly LayerCacheV1[];
}

/**
 * A decoder over a whole sequence, or over new tokens and a cache, as one program. Blocks above the highest site that is
 * needed are not run.
 * @throws SpatialError TAP_UNKNOWN for a layer that the decoder does not have, WEIGHT_MISSING for an absent parameter.
 */
export function decodeSequence(
  decoder: DecoderV1,
  parameters: Parameters,
  inputs: DecodeInputs,
  request: DecodeRequest,
): DecodedSequence {
  const layers = decoder.layers.length;
  const depth = neededLayers(request, layers);
  const taps = new Set(request.taps);
  const hidden: Partial<Record<DecoderSite, Tensor>> = {};
  const cache: LayerCacheV1[] = [];
  let x = inputs.embeddings;
  if (taps.has('embedding')) hidden.embedding = x;
  for (const [index, layer] of decoder.layers.slice(0, depth).entries()) {
    const { positions, cacheSlot, segments } = inputs;
    const { x: y, ...rows } = decoder.block(layer.kind, layerParameters(layer, parameters), x, {
      positions,
      ...(inputs.cache !== undefined && { cache: inputs.cache[index]! }),
      ...(cacheSlot !== undefined && { cacheSlot }),
      ...(segments !== undefined && { segments }),
    });
    x = y;
    cache.push(rows);
    const site = siteOfLayer(index + 1, layers);
    if (site !== 'final' && taps.has(site)) hidden[site] = x;
  }
  if (!request.last && !taps.has('final')) return { hidden, cache };
  const last = decoder.finalNorm(parameters, x);
  if (taps.has('final')) hidden.final = last;
  return request.last ? { hidden, last, cache } : { hidden, cache };
}

/**
 * Number of blocks that a request needs, of L.
 * @throws SpatialError TAP_UNKNOWN for a site that is none of the decoder's.
 */
export function neededLayers({ taps, last }: DecodeRequest, layers: number): number {
  const tapped = taps.map((site) => layerOfSite(site, layers));
  return last ? layers : Math.max(0, ...tapped);
}
