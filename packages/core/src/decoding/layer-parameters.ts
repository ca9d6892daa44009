import { DROPOUT_NAMES, LOW_RANK_NAMES, parameterScope } from '../nn/index.js';
import type { DecoderLayerV1, Parameters } from '../spec.js';

const WEIGHT = '.weight';

/**
 * Full names of a layer's parameters by layer-free name, with those of low-rank updates beside its linear layers.
 * @param isThere whether a parameter of this full name exists.
 */
export function layerNames(
  { names }: DecoderLayerV1,
  isThere: (name: string) => boolean,
): Readonly<Record<string, string>> {
  const updates = Object.entries(names)
    .filter(([free]) => free.endsWith(WEIGHT))
    .flatMap(([free, full]) =>
      [...LOW_RANK_NAMES, ...DROPOUT_NAMES].map(
        (name) => [sibling(free, name), sibling(full, name)] as const,
      ),
    );
  return { ...names, ...Object.fromEntries(updates.filter(([, full]) => isThere(full))) };
}

/** `x.weight` → `x.NAME`. */
const sibling = (weight: string, name: string): string =>
  `${weight.slice(0, -WEIGHT.length)}.${name}`;

/**
 * Parameters of one layer under layer-free names.
 * @throws SpatialError WEIGHT_MISSING with the full name.
 */
export function layerParameters(layer: DecoderLayerV1, parameters: Parameters): Parameters {
  const root = parameterScope(parameters);
  const names = Object.entries(layerNames(layer, root.has));
  return Object.fromEntries(names.map(([free, full]) => [free, root.get(full)]));
}
