import {
  type DeviceTensor,
  type MappedTensor,
  type RunValue,
  type SpecTree,
  weightSpec,
} from '@spatialsv/engine';
import { requireNamed } from '../nn/parameter-scope.js';

/** A weight in its file, or a float32 tensor of the device that takes its place. */
export type Weight = MappedTensor | DeviceTensor;

/** By full name. */
export type Weights = Readonly<Record<string, Weight>>;

/** How a program takes some weights: what it is compiled with, and what each run gives. */
export interface WeightBinding {
  readonly specs: SpecTree;
  readonly values: Readonly<Record<string, RunValue>>;
  /** Equal for bindings that one program serves. */
  readonly key: string;
}

/**
 * @param names name inside the program → full name.
 * @throws SpatialError WEIGHT_MISSING.
 */
export function bindWeights(
  weights: Weights,
  names: Readonly<Record<string, string>>,
): WeightBinding {
  const bound = Object.entries(names).map(
    ([name, full]) => [name, bindWeight(requireNamed(weights, full))] as const,
  );
  return {
    specs: Object.fromEntries(bound.map(([name, { spec }]) => [name, spec])),
    values: Object.fromEntries(bound.map(([name, { value }]) => [name, value])),
    key: bound.map(([name, { key }]) => `${name}=${key}`).join(),
  };
}

function bindWeight(value: Weight) {
  const shape = value.shape.join('×');
  if ('kind' in value) {
    const spec = weightSpec(value);
    return { spec, value, key: `${spec.storedAs}:${shape}` };
  }
  const { dtype } = value;
  return { spec: { shape: value.shape, dtype }, value, key: `${dtype}:${shape}` };
}
