import {
  type CompiledProgram,
  compile,
  type DeviceTensor,
  float32,
  int32,
  type Tensor,
  tf,
} from '../index.js';
import type { HostArray, Program, SpecTree } from '../specs.js';

/** Inputs of a comparison: a shape filled with seeded numbers, or given values. */
export type Given =
  | readonly number[]
  | { readonly shape: readonly number[]; readonly values: HostArray };

/** A program over a list of tensors. */
export type Case = (...inputs: Tensor[]) => Tensor;

const SEED = 1;
let state = SEED;

/** Uniform in (low, high), the same sequence in every comparison. */
export function seeded(size: number, low = -1, high = 1): Float32Array {
  return Float32Array.from({ length: size }, () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return low + ((high - low) * state) / 2 ** 32;
  });
}

export const isFilled = (given: Given): given is { shape: readonly number[]; values: HostArray } =>
  !Array.isArray(given);

export function values(given: Given): { shape: readonly number[]; values: HostArray } {
  if (isFilled(given)) return given;
  const shape = given as readonly number[];
  return { shape, values: seeded(shape.reduce((a, b) => a * b, 1)) };
}

export interface Compared {
  readonly engine: Float32Array;
  readonly eager: Float32Array;
  readonly shapes: readonly [readonly number[], readonly number[]];
}

/** Runs a program through the engine and eagerly on tfjs' CPU backend. */
export async function onBoth(
  program: Case,
  given: readonly Given[],
  device = 'cpu',
): Promise<Compared> {
  state = SEED;
  const inputs = given.map(values);
  const compiled = await compile(asProgram(program), specsOf(inputs), { device, name: 'test' });
  const feed = Object.fromEntries(inputs.map((input, i) => [`x${i}`, input.values]));
  const { y } = (await compiled.run(feed)) as { y: DeviceTensor };
  const engine = Float32Array.from(await y.read());
  await compiled.dispose();
  await tf.setBackend('cpu');
  const eager = tf.tidy(() => {
    const tensors = inputs.map((input) =>
      tf.tensor(
        input.values.slice(),
        [...input.shape],
        input.values instanceof Int32Array ? 'int32' : 'float32',
      ),
    );
    const result = program(...tensors);
    return { data: Float32Array.from(result.dataSync()), shape: result.shape };
  });
  return { engine, eager: eager.data, shapes: [y.shape, eager.shape] };
}

const asProgram = (program: Case): Program =>
  ((inputs: Record<string, Tensor>) => ({
    y: program(...Object.values(inputs)),
  })) as unknown as Program;

const specsOf = (inputs: readonly { shape: readonly number[]; values: HostArray }[]): SpecTree =>
  Object.fromEntries(
    inputs.map((input, i) => [
      `x${i}`,
      input.values instanceof Int32Array ? int32(...input.shape) : float32(...input.shape),
    ]),
  );

/** d Σ(program · weights) / d input `by`, as a program: the gradient of every element is exercised. */
export function gradientOf(program: Case, by: number): Case {
  return (...inputs) => {
    const scalar = (x: Tensor) =>
      weightedSum(program(...inputs.map((input, i) => (i === by ? x : input))));
    return tf.grad(scalar)(inputs[by]!);
  };
}

function weightedSum(y: Tensor): tf.Scalar {
  const weights = tf.tensor(ramp(y.shape.reduce((a, b) => a * b, 1)), y.shape);
  return tf.sum(tf.mul(y, weights)) as tf.Scalar;
}

/** Distinct weights of both signs, equal in every run. */
const ramp = (size: number): Float32Array =>
  Float32Array.from({ length: size }, (_, i) => Math.sin(1 + 0.7 * i));

/**
 * The directional derivative of Σ(program · weights) along random changes of one input: from the compiled gradient, and
 * from central differences of compiled values.
 */
export async function centralDifference(
  program: Case,
  given: readonly Given[],
  by: number,
): Promise<{ along: number; difference: number }> {
  state = SEED;
  const inputs = given.map(values);
  const specs = specsOf(inputs);
  const weighted: Case = (...tensors) => weightedSum(program(...tensors));
  const value = await compile(asProgram(weighted), specs);
  const gradient = await compile(asProgram(gradientOf(program, by)), specs);
  const direction = seeded(inputs[by]!.values.length);
  const step = 1e-2;
  const feed = (amount: number) =>
    Object.fromEntries(
      inputs.map((input, i) => [
        `x${i}`,
        i === by
          ? Float32Array.from(input.values, (x, k) => x + amount * direction[k]!)
          : input.values,
      ]),
    );
  const read = async (compiled: CompiledProgram, amount: number) => {
    const { y } = (await compiled.run(feed(amount))) as { y: DeviceTensor };
    return Array.from(await y.read());
  };
  const [above] = await read(value, step);
  const [below] = await read(value, -step);
  const slope = await read(gradient, 0);
  await Promise.all([value.dispose(), gradient.dispose()]);
  return {
    along: slope.reduce((sum, x, i) => sum + x * direction[i]!, 0),
    difference: (above! - below!) / (2 * step),
  };
}

/** Largest |a − b| / (1 + |b|). */
export function worst({ engine, eager }: Compared): number {
  return engine.reduce((most, value, i) => {
    const expected = eager[i]!;
    if (Object.is(value, expected) || value === expected) return most;
    return Math.max(most, Math.abs(value - expected) / (1 + Math.abs(expected)) || Number.NaN);
  }, 0);
}
