import type { BackboneV1 } from '@spatialsv/core';

/**
 * The same backbone with the first so many layers of its decoder alone: what a step of it takes of time and memory grows
 * evenly with the layers, so two such measurements tell those of the whole. It writes no checkpoint.
 */
export function truncateBackbone(backbone: BackboneV1, layers: number): BackboneV1 {
  const { config, decoder, weights } = backbone;
  const cut = new Set(decoder.layers.slice(layers).flatMap(({ names }) => Object.values(names)));
  return {
    ...backbone,
    config: { ...config, layers },
    decoder: { ...decoder, layers: decoder.layers.slice(0, layers) },
    weights: Object.fromEntries(Object.entries(weights).filter(([name]) => !cut.has(name))),
    save: () => Promise.resolve(),
  };
}
