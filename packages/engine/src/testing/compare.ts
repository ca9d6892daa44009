import { sizeOf } from '../graph/graph.js';
import {
  type CompileOptions,
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

/** Programs with their inputs. */
export type Table = readonly (readonly [name: string, program: Case, inputs: readonly Given[]])[];

const SEED = 1;
let state = SEED;

/** Uniform in (low, high), the same sequence in every comparison. */
export function seeded(size: number, low = -1, high = 1): Float32Array {
  return Float32Array.from({ length: size }, () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return low + ((high - low) * state) / 2 ** 32;
  });
}

/** Uniform in 0 … limit − 1, of the same sequence. */
export const randomInteger = (limit: number): number => Math.floor(seeded(1, 0, limit)[0]!);

/** Axes of 1 … 5, of the same sequence. */
export const randomShape = (rank: number): number[] =>
  Array.from({ length: rank }, () => 1 + randomInteger(5));

export const as4d = (x: tf.Tensor) => x as tf.Tensor4D;

export const isFilled = (given: Given): given is { shape: readonly number[]; values: HostArray } =>
  !Array.isArray(given);

export function values(given: Given): { shape: readonly number[]; values: HostArray } {
  if (isFilled(given)) return given;
  const shape = given as readonly number[];
  return { shape, values: seeded(sizeOf(shape)) };
}

/** A case whose value and gradients were computed by the engine, and can be computed again at other inputs. */
export interface CompiledCase {
  /** Outputs at the inputs with a change added to one of them. */
  at(by: number, change: Float32Array | undefined): Promise<Outputs>;
  readonly inputs: readonly { readonly shape: readonly number[]; readonly values: HostArray }[];
  dispose(): Promise<void>;
}

/** The value of a case, and the gradients of its weighted sum, by number of the input. */
export interface Outputs {
  readonly value: Numbers;
  readonly gradients: Readonly<Record<number, Numbers>>;
}

export interface Numbers {
  readonly data: Float32Array;
  readonly shape: readonly number[];
}

/** Compiles the value of a case and its gradients by some inputs as one program. */
export async function compileCase(
  program: Case,
  given: readonly Given[],
  by: readonly number[],
  options: CompileOptions = {},
): Promise<CompiledCase> {
  state = SEED;
  const inputs = given.map(values);
  const all = (...tensors: Tensor[]) => outputsOf(program, tensors, by);
  const compiled = await compile(asProgram(all), specsOf(inputs), { name: 'test', ...options });
  const at = async (changed: number, change: Float32Array | undefined) => {
    const feed = inputs.map(({ values: own }, i) => [
      `x${i}`,
      change === undefined || i !== changed
        ? own
        : Float32Array.from(own, (x, k) => x + change[k]!),
    ]);
    return readOutputs(await compiled.run(Object.fromEntries(feed)));
  };
  return { at, inputs, dispose: () => compiled.dispose() };
}

function outputsOf(program: Case, inputs: readonly Tensor[], by: readonly number[]) {
  const gradients = by.map((i) => [`by${i}`, gradientOf(program, i)(...inputs)]);
  return { y: program(...inputs), ...Object.fromEntries(gradients) } as Record<string, Tensor>;
}

async function readOutputs(found: unknown): Promise<Outputs> {
  const read = async (tensor: DeviceTensor): Promise<Numbers> => ({
    data: Float32Array.from(await tensor.read()),
    shape: tensor.shape,
  });
  const { y, ...rest } = found as Record<string, DeviceTensor>;
  const gradients: Record<number, Numbers> = {};
  for (const [name, tensor] of Object.entries(rest)) {
    gradients[Number(name.slice('by'.length))] = await read(tensor);
  }
  return { value: await read(y!), gradients };
}

/** The same eagerly on tfjs' CPU backend. */
export async function evaluateEagerly(
  program: Case,
  { inputs }: CompiledCase,
  by: readonly number[],
): Promise<Outputs> {
  await tf.setBackend('cpu');
  let outputs!: Outputs;
  tf.tidy(() => {
    const tensors = inputs.map((input) =>
      tf.tensor(
        input.values.slice(),
        [...input.shape],
        input.values instanceof Int32Array ? 'int32' : 'float32',
      ),
    );
    const read = (tensor: Tensor): Numbers => ({
      data: Float32Array.from(tensor.dataSync()),
      shape: tensor.shape,
    });
    const { y, ...rest } = outputsOf(program, tensors, by);
    const gradients = by.map((i) => [i, read(rest[`by${i}`]!)]);
    outputs = { value: read(y!), gradients: Object.fromEntries(gradients) };
  });
  return outputs;
}

const asProgram =
  (outputs: (...inputs: Tensor[]) => Record<string, Tensor>): Program =>
  (inputs: Record<string, Tensor>) =>
    outputs(...Object.values(inputs));

const specsOf = (inputs: readonly { shape: readonly number[]; values: HostArray }[]): SpecTree =>
  Object.fromEntries(
    inputs.map((input, i) => [
      `x${i}`,
      input.values instanceof Int32Array ? int32(...input.shape) : float32(...input.shape),
    ]),
  );

/** d Σ(program · weights) / d input `by`, as a program: the gradient of every element is exercised. */
function gradientOf(program: Case, by: number): Case {
  return (...inputs) => {
    const scalar = (x: Tensor) =>
      weightedSum(program(...inputs.map((input, i) => (i === by ? x : input))));
    return tf.grad(scalar)(inputs[by]!);
  };
}

function weightedSum(y: Tensor): tf.Scalar {
  const weights = tf.tensor(ramp(sizeOf(y.shape)), y.shape);
  return tf.sum(tf.mul(y, weights)) as tf.Scalar;
}

/** Distinct weights of both signs, equal in every run. */
const ramp = (size: number): Float32Array =>
  Float32Array.from({ length: size }, (_, i) => Math.sin(1 + 0.7 * i));

/** Central differences in float32 at this step are good to about two digits. */
const STEP = 1e-2;

/**
 * The directional derivative of Σ(program · weights) along random changes of one input: from the gradient, and from central
 * differences of values. @returns their difference, relative to 1 + |difference|.
 */
export async function differenceError(compiled: CompiledCase, by: number): Promise<number> {
  const { gradients } = await compiled.at(by, undefined);
  state = SEED;
  const direction = seeded(gradients[by]!.data.length);
  const sumAt = async (amount: number) => {
    const { value } = await compiled.at(
      by,
      direction.map((x) => amount * x),
    );
    return dot(value.data, ramp(value.data.length));
  };
  const difference = ((await sumAt(STEP)) - (await sumAt(-STEP))) / (2 * STEP);
  const along = dot(gradients[by]!.data, direction);
  return Math.abs(along - difference) / (1 + Math.abs(difference));
}

const dot = (a: Float32Array, b: Float32Array): number =>
  a.reduce((sum, value, i) => sum + value * b[i]!, 0);

/** Largest |a − b| / (1 + |b|); infinite for another shape. */
export function worst(found: Numbers, expected: Numbers): number {
  if (found.shape.join() !== expected.shape.join()) return Number.POSITIVE_INFINITY;
  return found.data.reduce((most, value, i) => {
    const other = expected.data[i]!;
    if (Object.is(value, other) || value === other) return most;
    const error = Math.abs(value - other) / (1 + Math.abs(other));
    // NaN beside a number is worse than any error.
    return Number.isNaN(error) ? Number.POSITIVE_INFINITY : Math.max(most, error);
  }, 0);
}
