import {
  type CompiledProgram,
  compile,
  type DeviceTensor,
  float32,
  type Tensor,
  takeValues,
  tf,
  weightSpec,
} from '@spatialsv/engine';
import type { BackboneV1 } from '../spec.js';
import { type LowRankAdapter, lowRankNames } from './low-rank.js';

/**
 * Weights with their updates added, W + scale · B · A in float32, and those that an adapter replaces: what `save` of the
 * backbone takes. Products are made one after the other; all results are held at once.
 */
export async function mergeLowRank(
  { weights }: Pick<BackboneV1, 'weights'>,
  { updates, scales, replaced }: LowRankAdapter,
): Promise<Map<string, Float32Array>> {
  const merged = new Map(Object.entries(replaced).map(([name, { data }]) => [name, data]));
  const programs = new Map<string, Promise<CompiledProgram>>();
  try {
    for (const [layer, scale] of Object.entries(scales)) {
      const weight = weights[`${layer}.weight`]!;
      const { down, up } = lowRankNames(layer);
      const [a, b] = [updates[down]!, updates[up]!];
      const specs = { weight: weightSpec(weight), a: float32(...a.shape), b: float32(...b.shape) };
      const key = JSON.stringify(specs);
      const program = programs.get(key) ?? compile(addUpdate, { ...specs, scale: float32() });
      programs.set(key, program);
      const inputs = { weight, a: a.data, b: b.data, scale: Float32Array.of(scale) };
      const outputs = await (await program).run(inputs);
      const { sum } = outputs as Readonly<Record<'sum', DeviceTensor>>;
      merged.set(`${layer}.weight`, Float32Array.from(await takeValues(sum)));
    }
  } finally {
    for (const program of programs.values()) await (await program).dispose();
  }
  return merged;
}

type Inputs = Readonly<Record<'weight' | 'a' | 'b' | 'scale', Tensor>>;

const addUpdate = ({ weight, a, b, scale }: Inputs) => ({
  sum: tf.add(weight, tf.mul(tf.matMul(b as tf.Tensor2D, a as tf.Tensor2D), scale)),
});
