import {
  type CompiledProgram,
  compile,
  createTensor,
  float32,
  type Tensor,
  type TensorSpec,
  tf,
} from '@spatialsv/engine';
import { mapValues } from '../records.js';
import { type AdamwSettings, adamwUpdate } from './adamw.js';
import {
  type GroupUpdate,
  OPTIMIZER_KINDS,
  type OptimizerTensors,
  type UpdateScalars,
} from './group-update.js';

type Specs = Readonly<Record<string, TensorSpec>>;

/** AdamW of a group as one program over all of its tensors, for devices that keep them. */
export class CompiledAdamw implements GroupUpdate {
  readonly tensors: OptimizerTensors;
  readonly #update: CompiledProgram;

  private constructor(tensors: OptimizerTensors, update: CompiledProgram) {
    this.tensors = tensors;
    this.#update = update;
  }

  static async create(
    specs: Specs,
    settings: AdamwSettings,
    device: string,
  ): Promise<CompiledAdamw> {
    const zeros = () => mapValues(specs, (spec) => createTensor(spec, undefined, device));
    const tensors = {
      parameters: zeros(),
      first: zeros(),
      second: zeros(),
      accumulators: zeros(),
    };
    return new CompiledAdamw(tensors, await compileUpdate(specs, settings, device));
  }

  async run(scalars: UpdateScalars): Promise<void> {
    await this.#update.run({ ...this.tensors, scalars: { ...scalars } });
  }

  async dispose(): Promise<void> {
    await this.#update.dispose();
    for (const kind of OPTIMIZER_KINDS) {
      for (const tensor of Object.values(this.tensors[kind])) tensor.dispose();
    }
  }
}

type Named = Readonly<Record<string, Tensor>>;

interface UpdateInputs extends Readonly<Record<keyof OptimizerTensors, Named>> {
  readonly scalars: Parameters<typeof adamwUpdate>[3];
}

function compileUpdate(
  specs: Specs,
  settings: AdamwSettings,
  device: string,
): Promise<CompiledProgram> {
  const scalar = float32();
  const state = { parameters: specs, first: specs, second: specs, accumulators: specs };
  return compile(
    (inputs: UpdateInputs) => updateAll(inputs, settings),
    {
      ...state,
      scalars: { gradientScale: scalar, secondScale: scalar, stepSize: scalar, decay: scalar },
    },
    { device, state: [...OPTIMIZER_KINDS], name: 'adamw' },
  );
}

/** One step of every parameter. A program; the accumulators come back as zeros. */
function updateAll(inputs: UpdateInputs, settings: AdamwSettings) {
  const updated = mapValues(inputs.parameters, (parameter, name) =>
    adamwUpdate(
      settings,
      { parameter, first: inputs.first[name]!, second: inputs.second[name]! },
      inputs.accumulators[name]!,
      inputs.scalars,
    ),
  );
  return {
    parameters: mapValues(updated, ({ parameter }) => parameter),
    first: mapValues(updated, ({ first }) => first),
    second: mapValues(updated, ({ second }) => second),
    accumulators: mapValues(inputs.accumulators, (sum) => tf.zerosLike(sum)),
  };
}
