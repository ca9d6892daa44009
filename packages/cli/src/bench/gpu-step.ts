import { createDecoder } from '@spatialsv/core';
import { blockGradients } from '@spatialsv/core/kit';
import {
  type CompiledProgram,
  compile,
  createTensor,
  type DeviceTensor,
  differentiate,
  float32,
  int32,
  ops,
  type RunValue,
  type SpecTree,
  sizeOf,
  type Tensor,
  type Tree,
  tf,
} from '@spatialsv/engine';
import { AdamwOptimizer, type TrainableParameter } from '@spatialsv/train';
import type { Target } from '../target.js';
import { type GpuSize, gpuDecoderConfig, gpuShapes, NAMES, randomValues } from './gpu-sizes.js';

const ADAMW = { betas: [0.9, 0.999], epsilon: 1e-8, weightDecay: 0 } as const;
const RATES = { projector: 1e-4, 'language-model': 1e-4, spatial: 1e-4 } as const;

/** A training step of a decoder layer by layer, as `recompute: layer` takes it: everything is trained. */
export interface GpuStep {
  /** One optimiser step. @returns the loss. */
  run(): Promise<number>;
  dispose(): Promise<void>;
}

type Named = Readonly<Record<string, Tensor>>;
type Outputs = Readonly<Record<string, DeviceTensor>>;

/** Compiles the programs of a step and makes its state on the device. */
export async function openGpuStep(size: GpuSize, target: Target): Promise<GpuStep> {
  const { device } = target;
  const decoder = createDecoder(gpuDecoderConfig(size), NAMES);
  const shapes = gpuShapes(size);
  const optimizer = await AdamwOptimizer.create(initialParameters(shapes), ADAMW, device);
  const programs = await compilePrograms(decoder, size, target);
  const tensor = (values: Int32Array, ...shape: number[]) =>
    createTensor(int32(...shape), values, device);
  const { tokens, vocabularySize } = size;
  const places = Int32Array.from({ length: tokens }, (_, i) => i);
  const positions = tensor(places, 1, tokens);
  const batch = {
    ids: places.map((i) => (i * 7919) % vocabularySize),
    targets: places.map((i) => (i * 104729 + 1) % vocabularySize),
  };
  let steps = 0;
  const { parameters, accumulators } = optimizer;
  const use = async (program: CompiledProgram, inputs: Tree<RunValue>) =>
    (await program.run(inputs)) as Outputs;
  const part = (names: Readonly<Record<string, string>>) => ({
    parameters: pick(parameters, names),
    accumulators: pick(accumulators, names),
  });
  const run = async (): Promise<number> => {
    const below = part(byName(decoder.names.embed));
    const above = part(byName([...decoder.names.finalNorm, ...decoder.names.logits]));
    const kept = [
      (await use(programs.embed, { parameters: below.parameters, ids: batch.ids }))['x']!,
    ];
    for (const { names } of decoder.layers) {
      const inputs = { parameters: pick(parameters, names), x: kept.at(-1)!, positions };
      kept.push((await use(programs.forward, inputs))['y']!);
    }
    const { loss, dy } = await use(programs.head, {
      ...{ ...above, x: kept.pop()!, targets: batch.targets },
    });
    for (const [index, x] of [...kept.entries()].reverse()) {
      if (index === decoder.layers.length) continue;
      const own = part(decoder.layers[index]!.names);
      await use(programs.backward, { ...own, x, positions, dy: dy! });
    }
    await use(programs.table, { accumulators: below.accumulators, ids: batch.ids, dy: dy! });
    for (const each of [...kept, dy!]) each.dispose();
    await optimizer.gradientNorm();
    steps += 1;
    await optimizer.step(steps, RATES, 1);
    const [value] = await loss!.read();
    loss!.dispose();
    return value!;
  };
  const dispose = async () => {
    for (const program of Object.values(programs)) await program.dispose();
    positions.dispose();
    await optimizer.dispose();
  };
  return { run, dispose };
}

type Decoder = ReturnType<typeof createDecoder>;

async function compilePrograms(decoder: Decoder, size: GpuSize, target: Target) {
  const shapes = gpuShapes(size);
  const specsOf = (names: Readonly<Record<string, string>>): SpecTree =>
    Object.fromEntries(
      Object.entries(names).map(([own, full]) => [own, float32(...shapes[full]!)]),
    );
  const { tokens, hiddenSize } = size;
  const rows = float32(tokens, hiddenSize);
  const ids = int32(tokens);
  const positions = int32(1, tokens);
  const block = decoder.layers[0]!;
  const [below, inner] = [specsOf(byName(decoder.names.embed)), specsOf(block.names)];
  const above = specsOf(byName([...decoder.names.finalNorm, ...decoder.names.logits]));
  return {
    embed: await compile(
      ({ parameters, ids }: { parameters: Named; ids: Tensor }) => ({
        x: tf.add(decoder.embed(parameters, ids), 0),
      }),
      { parameters: below, ids },
      { ...target, name: 'embed' },
    ),
    forward: await compile(
      ({ parameters, x, positions }: { parameters: Named; x: Tensor; positions: Tensor }) => ({
        y: decoder.block(block.kind, parameters, x, { positions }).x,
      }),
      { parameters: inner, x: rows, positions },
      { ...target, name: 'block' },
    ),
    head: await compile(
      headProgram(decoder, size),
      { parameters: above, accumulators: above, x: rows, targets: ids },
      { ...target, state: ['accumulators'], name: 'head' },
    ),
    backward: await compile(
      backwardProgram(decoder, block.kind),
      { parameters: inner, accumulators: inner, x: rows, positions, dy: rows },
      { ...target, state: ['accumulators', 'dy'], name: 'block-gradients' },
    ),
    table: await compile(
      tableProgram(decoder.names.embed[0]!),
      { accumulators: below, ids, dy: rows },
      { ...target, state: ['accumulators'], name: 'table-gradients' },
    ),
  };
}

interface HeadInputs {
  readonly parameters: Named;
  readonly accumulators: Named;
  readonly x: Tensor;
  readonly targets: Tensor;
}

function headProgram(decoder: Decoder, { tokens }: GpuSize) {
  return ({ parameters, accumulators, x, targets }: HeadInputs) => {
    const { outputs, gradients } = differentiate(
      ({ ['']: at, ...values }) => {
        const logits = decoder.logits(values, decoder.finalNorm(values, at!));
        return { loss: ops.crossEntropySum(logits, targets, tf.fill([tokens], 1 / tokens)) };
      },
      { ...parameters, '': x },
    );
    return { loss: outputs.loss, dy: gradients['']!, accumulators: sums(accumulators, gradients) };
  };
}

interface BackwardInputs {
  readonly parameters: Named;
  readonly accumulators: Named;
  readonly x: Tensor;
  readonly positions: Tensor;
  readonly dy: Tensor;
}

function backwardProgram(decoder: Decoder, kind: string) {
  return ({ parameters, accumulators, ...tensors }: BackwardInputs) => {
    const weights = { trained: parameters, frozen: {} };
    const { dx, gradients } = blockGradients(decoder, kind, weights, tensors);
    return { dy: dx, accumulators: sums(accumulators, gradients) };
  };
}

interface TableInputs {
  readonly accumulators: Named;
  readonly ids: Tensor;
  readonly dy: Tensor;
}

function tableProgram(name: string) {
  return ({ accumulators, ids, dy }: TableInputs) => {
    const { gradients } = differentiate(
      ({ table }) => ({ loss: tf.sum(tf.mul(tf.gather(table!, ids as tf.Tensor1D), dy)) }),
      { table: accumulators[name]! },
    );
    return { accumulators: { [name]: tf.add(accumulators[name]!, gradients['table']!) } };
  };
}

const sums = (accumulators: Named, gradients: Named): Named =>
  Object.fromEntries(
    Object.entries(accumulators).map(([name, sum]) => [name, tf.add(sum, gradients[name]!)]),
  );

const byName = (names: readonly string[]): Record<string, string> =>
  Object.fromEntries(names.map((name) => [name, name]));

/** Values of a part by the names that its program knows. */
const pick = <Value>(
  values: Readonly<Record<string, Value>>,
  names: Readonly<Record<string, string>>,
): Record<string, Value> =>
  Object.fromEntries(Object.entries(names).map(([own, full]) => [own, values[full]!]));

function initialParameters(
  shapes: Readonly<Record<string, readonly number[]>>,
): Record<string, TrainableParameter> {
  const entries = Object.entries(shapes).map(([name, shape]) => {
    const count = sizeOf(shape);
    const isNorm = name.includes('norm');
    const data = isNorm ? new Float32Array(count).fill(1) : randomValues(count);
    return [name, { data, group: 'language-model' as const, shape }] as const;
  });
  return Object.fromEntries(entries);
}
