import {
  type CompiledProgram,
  compile,
  createTensor,
  type DeviceTensor,
  float32,
  type ProgramTarget,
  placeTensors,
  type Tensor,
  type TensorSpec,
  tf,
} from '@spatialsv/engine';
import { mapValues } from '../records.js';
import { type AdamwSettings, adamwUpdate } from './adamw.js';
import {
  type GroupUpdate,
  OPTIMIZER_KINDS,
  type OptimizerKind,
  type Tensors,
  type UpdateScalars,
} from './group-update.js';

type Specs = Readonly<Record<string, TensorSpec>>;
type ScalarTensors = Readonly<Record<keyof UpdateScalars, DeviceTensor>>;

/**
 * AdamW of a group, tensor by tensor, for devices that keep them: a program for each shape, so that no more memory is needed
 * beside the state than for the largest tensor.
 */
export class CompiledAdamw implements GroupUpdate {
  readonly tensors: Readonly<Record<OptimizerKind, Tensors>>;
  readonly #scalars: ScalarTensors;
  /** By shape. */
  readonly #updates: ReadonlyMap<string, CompiledProgram>;

  private constructor(
    tensors: CompiledAdamw['tensors'],
    scalars: ScalarTensors,
    updates: ReadonlyMap<string, CompiledProgram>,
  ) {
    this.tensors = tensors;
    this.#scalars = scalars;
    this.#updates = updates;
  }

  static async create(
    specs: Specs,
    settings: AdamwSettings & Pick<ProgramTarget, 'replays'>,
    device: string,
  ): Promise<CompiledAdamw> {
    const zeros = () => mapValues(specs, (spec) => createTensor(spec, undefined, device));
    const tensors = {
      parameters: zeros(),
      first: zeros(),
      second: zeros(),
      accumulators: zeros(),
    };
    for (const kind of ['first', 'second', 'accumulators'] as const)
      await placeTensors(Object.values(tensors[kind]), device);
    const updates = new Map<string, CompiledProgram>();
    for (const spec of Object.values(specs)) {
      const key = keyOf(spec);
      if (!updates.has(key)) updates.set(key, await compileUpdate(spec, settings, device));
    }
    const scalar = () => createTensor(float32(), undefined, device);
    const scalars = {
      gradientScale: scalar(),
      secondScale: scalar(),
      stepSize: scalar(),
      decay: scalar(),
    };
    return new CompiledAdamw(tensors, scalars, updates);
  }

  async run(scalars: UpdateScalars): Promise<void> {
    for (const [name, tensor] of Object.entries(this.#scalars))
      await tensor.write(Float32Array.of(scalars[name as keyof UpdateScalars]));
    for (const [name, parameter] of Object.entries(this.tensors.parameters)) {
      const state = OPTIMIZER_KINDS.map((kind) => [kind, this.tensors[kind][name]!] as const);
      const update = this.#updates.get(keyOf(parameter))!;
      await update.run({ ...Object.fromEntries(state), scalars: this.#scalars });
    }
  }

  async dispose(): Promise<void> {
    for (const update of this.#updates.values()) await update.dispose();
    const kept = OPTIMIZER_KINDS.map((kind) => this.tensors[kind]);
    for (const tensors of [...kept, this.#scalars])
      for (const tensor of Object.values(tensors)) tensor.dispose();
  }
}

const keyOf = ({ shape }: Pick<TensorSpec, 'shape'>): string => shape.join('×');

type UpdateInputs = Readonly<Record<OptimizerKind, Tensor>> & {
  readonly scalars: Parameters<typeof adamwUpdate>[3];
};

function compileUpdate(
  spec: TensorSpec,
  { replays, ...settings }: AdamwSettings & Pick<ProgramTarget, 'replays'>,
  device: string,
): Promise<CompiledProgram> {
  const state = Object.fromEntries(OPTIMIZER_KINDS.map((kind) => [kind, spec]));
  const scalar = float32();
  const scalars = { gradientScale: scalar, secondScale: scalar, stepSize: scalar, decay: scalar };
  return compile(
    (inputs: UpdateInputs) => updateOne(inputs, settings),
    { ...state, scalars },
    { device, replays, state: [...OPTIMIZER_KINDS], name: 'adamw' },
  );
}

/** One step of one parameter. A program; the accumulators come back as zeros. */
function updateOne(
  { parameters: parameter, first, second, accumulators: gradient, scalars }: UpdateInputs,
  settings: AdamwSettings,
) {
  const updated = adamwUpdate(settings, { parameter, first, second }, gradient, scalars);
  return {
    parameters: updated.parameter,
    first: updated.first,
    second: updated.second,
    // Made of a value that comes after every use of the gradient, so that it can be written over it.
    accumulators: tf.sub(updated.parameter, updated.parameter),
  };
}
