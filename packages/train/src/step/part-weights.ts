import { bindWeights, layerNames, type Weights } from '@spatialsv/core';
import { type DeviceTensor, float32, type RunValue, type SpecTree } from '@spatialsv/engine';
import type { ModelState } from '../model-state.js';
import { mapValues } from '../records.js';

/** Weights of a part of a model for its programs, by the names that the part gives them. */
export interface PartWeights {
  readonly specs: { readonly trained: SpecTree; readonly frozen: SpecTree };
  readonly values: {
    readonly trained: Readonly<Record<string, RunValue>>;
    readonly frozen: Readonly<Record<string, RunValue>>;
  };
  /** Specs of the accumulators of what is trained. */
  readonly accumulators: SpecTree;
  readonly sums: Readonly<Record<string, DeviceTensor>>;
  readonly isTrained: boolean;
  /** Equal for parts that one program serves. */
  readonly key: string;
}

/**
 * Binds a part to the parameters of a run, with those of low-rank updates beside its linear layers.
 * @param names name inside of the part → full name.
 * @throws SpatialError WEIGHT_MISSING.
 */
export function partWeights(
  { optimizer, frozenSpecs, frozenTensors }: ModelState,
  names: Readonly<Record<string, string>>,
): PartWeights {
  const { parameters, accumulators } = optimizer;
  const weights = { ...frozenSpecs, ...frozenTensors, ...parameters } as Weights;
  const all = layerNames({ kind: '', names }, (name) => Object.hasOwn(weights, name));
  const isTrained = (full: string) => Object.hasOwn(parameters, full);
  const part = (wanted: boolean) =>
    Object.fromEntries(Object.entries(all).filter(([, full]) => isTrained(full) === wanted));
  const trained = bindWeights(weights, part(true));
  const frozen = bindWeights(weights, part(false));
  const sums = mapValues(part(true), (full) => accumulators[full]!);
  return {
    specs: { trained: trained.specs, frozen: frozen.specs },
    values: { trained: trained.values, frozen: frozen.values },
    accumulators: mapValues(sums, ({ shape }) => float32(...shape)),
    sums,
    isTrained: Object.keys(sums).length > 0,
    key: `${trained.key}|${frozen.key}`,
  };
}
