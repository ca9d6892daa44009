import { ops, type Tensor, tf } from '@spatialsv/engine';
import { SpatialError } from '../errors.js';
import { nearestName } from '../nearest-name.js';
import type { Parameters } from '../spec.js';
import { dropout } from './dropout.js';

/** Parameters of a low-rank update, by their name inside the linear layer. */
export const LOW_RANK_NAMES = ['lora_A.weight', 'lora_B.weight', 'lora_scale'] as const;

/** Further ones of an update whose inputs are dropped at random while it is trained. */
export const DROPOUT_NAMES = ['lora_dropout', 'lora_keep'] as const;

/** Parameters below one dotted path; a missing one is an error that names its full path. */
export interface ParameterScope {
  /** Path of this scope, empty at the root. */
  readonly path: string;
  /** The scope one level (or several, dotted) further down. */
  scope(name: string): ParameterScope;
  has(name: string): boolean;
  /** @throws SpatialError WEIGHT_MISSING with the full path. */
  get(name: string): Tensor;
  /** @throws SpatialError WEIGHT_MISSING, or SHAPE_MISMATCH when the shape differs. */
  get(name: string, shape: readonly number[]): Tensor;
  /**
   * The linear layer `name`: y = x · Wᵀ + b, with `name.weight` (out, in) and, where it is there, `name.bias` (out). A
   * low-rank update (arXiv:2106.09685) is added where the parameters hold one: scale · (x · Aᵀ) · Bᵀ, with
   * `name.lora_A.weight` (r, in), `name.lora_B.weight` (out, r) and `name.lora_scale` (scalar). Where they hold
   * `name.lora_dropout` (a seed, int32 scalar) and `name.lora_keep` (scalar), the update takes {@link dropout} of x.
   * @param x (…, in). @param rows of the weight, for layers that hold several side by side; all where absent.
   * @returns (…, out).
   * @throws SpatialError WEIGHT_MISSING, also for a part of a low-rank update.
   */
  linear(name: string, x: Tensor, rows?: WeightRows): Tensor;
}

/** `count` rows of a weight, from `first` on. */
export interface WeightRows {
  readonly first: number;
  readonly count: number;
}

/**
 * Opens parameters by path: `parameterScope(p, 'model.layers.3').scope('mlp').get('up_proj.weight')`.
 * @param parameters tensors by full checkpoint name.
 * @param path scope to start in; the root when empty.
 */
export function parameterScope(parameters: Parameters, path = ''): ParameterScope {
  const full = (name: string) => (path === '' ? name : `${path}.${name}`);
  return {
    path,
    scope: (name) => parameterScope(parameters, full(name)),
    has: (name) => Object.hasOwn(parameters, full(name)),
    get(name: string, shape?: readonly number[]) {
      const tensor = requireNamed(parameters, full(name));
      if (shape !== undefined) requireShape(full(name), tensor.shape, shape);
      return tensor;
    },
    linear: (name, x, rows) => linearLayer(parameterScope(parameters, full(name)), x, rows),
  };
}

function linearLayer(layer: ParameterScope, x: Tensor, rows?: WeightRows): Tensor {
  const part = (name: string) => rowsOf(layer.get(name), rows);
  const y = ops.linear(x, part('weight'), layer.has('bias') ? part('bias') : undefined);
  return LOW_RANK_NAMES.some((name) => layer.has(name))
    ? tf.add(y, lowRankUpdate(layer, x, rows))
    : y;
}

function lowRankUpdate(layer: ParameterScope, x: Tensor, rows?: WeightRows): Tensor {
  const [down, up, scale] = LOW_RANK_NAMES.map((name) => layer.get(name)) as [
    Tensor,
    Tensor,
    Tensor,
  ];
  const [seed, keep] = DROPOUT_NAMES;
  const kept = layer.has(seed) ? dropout(x, layer.get(seed), layer.get(keep)) : x;
  return tf.mul(ops.linear(ops.linear(kept, down), rowsOf(up, rows)), scale);
}

function rowsOf(tensor: Tensor, rows: WeightRows | undefined): Tensor {
  if (rows === undefined) return tensor;
  const [, ...rest] = tensor.shape;
  return tf.slice(tensor, [rows.first, ...rest.map(() => 0)], [rows.count, ...rest]);
}

/** @throws SpatialError WEIGHT_MISSING naming the nearest parameter. */
export function requireNamed<Value>(
  parameters: Readonly<Record<string, Value>>,
  name: string,
): Value {
  if (Object.hasOwn(parameters, name)) return parameters[name]!;
  const near = nearestName(Object.keys(parameters), name);
  throw new SpatialError({
    code: 'WEIGHT_MISSING',
    message: `${name}: expected a tensor among the parameters, found none`,
    hint:
      near === undefined
        ? 'Pass the weights of the opened checkpoint to the program.'
        : `The nearest parameter is ${near}. Pass every weight that the program reads.`,
  });
}

function requireShape(name: string, found: readonly number[], expected: readonly number[]): void {
  if (found.length === expected.length && expected.every((size, i) => size === found[i])) return;
  throw new SpatialError({
    code: 'SHAPE_MISMATCH',
    message: `${name}: expected (${expected.join(', ')}), found (${found.join(', ')})`,
    hint: 'The weights belong to another configuration: open them with the config.json of their own folder.',
  });
}
