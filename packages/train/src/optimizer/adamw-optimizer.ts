import {
  type CompiledProgram,
  compile,
  createTensor,
  type DeviceTensor,
  float32,
  type HostArray,
  type Tensor,
  type TensorSpec,
  tf,
} from '@spatialsv/engine';
import { type RatesByGroup, TRAINED_GROUPS, type TrainedGroup } from '../groups.js';
import { mapValues } from '../records.js';
import {
  type AdamwSettings,
  adamwUpdate,
  type RateScalars,
  rateScalars,
  type StepScalars,
  stepScalars,
  sumOfSquares,
} from './adamw.js';

/** A parameter to be trained, with its value before the first step. */
export interface TrainableParameter {
  readonly shape: readonly number[];
  readonly group: TrainedGroup;
  readonly data: Float32Array;
}

type Tensors = Readonly<Record<string, DeviceTensor>>;

/**
 * AdamW over named parameters that live on the device, with their moments and gradient accumulators. The update and
 * the norm are one compiled program each; nothing passes through JavaScript but the norm.
 */
export class AdamwOptimizer {
  readonly parameters: Tensors;
  readonly first: Tensors;
  readonly second: Tensors;
  /** Sums of gradients; {@link step} leaves zeros. */
  readonly accumulators: Tensors;
  readonly #settings: AdamwSettings;
  readonly #norm: CompiledProgram;
  readonly #update: CompiledProgram;

  private constructor(
    state: Pick<AdamwOptimizer, 'parameters' | 'first' | 'second' | 'accumulators'>,
    settings: AdamwSettings,
    programs: { readonly norm: CompiledProgram; readonly update: CompiledProgram },
  ) {
    this.parameters = state.parameters;
    this.first = state.first;
    this.second = state.second;
    this.accumulators = state.accumulators;
    this.#settings = settings;
    this.#norm = programs.norm;
    this.#update = programs.update;
  }

  static async create(
    parameters: Readonly<Record<string, TrainableParameter>>,
    settings: AdamwSettings,
    device: string,
  ): Promise<AdamwOptimizer> {
    const specs = mapValues(parameters, ({ shape }) => float32(...shape));
    const zeros = () => mapValues(specs, (spec) => createTensor(spec, undefined, device));
    const state = {
      parameters: mapValues(parameters, ({ shape, data }) =>
        createTensor(float32(...shape), data, device),
      ),
      first: zeros(),
      second: zeros(),
      accumulators: zeros(),
    };
    const groups = mapValues(parameters, ({ group }) => group);
    const norm = await compileNorm(specs, device);
    const update = await compileUpdate(specs, groups, settings, device);
    return new AdamwOptimizer(state, settings, { norm, update });
  }

  /** Global norm of the accumulated gradients. */
  async gradientNorm(): Promise<number> {
    const { squares } = (await this.#norm.run({ gradients: this.accumulators })) as {
      squares: DeviceTensor;
    };
    const [value] = await squares.read();
    squares.dispose();
    return Math.sqrt(value!);
  }

  /**
   * Applies the accumulated gradients times `gradientScale` and clears them.
   * @param t number of this step, 1 for the first. @param rates learning rate by group.
   */
  async step(t: number, rates: RatesByGroup, gradientScale: number): Promise<void> {
    const byGroup = TRAINED_GROUPS.map((group) => [
      group,
      rateScalars(this.#settings, t, rates[group]),
    ]);
    await this.#update.run({
      parameters: this.parameters,
      first: this.first,
      second: this.second,
      accumulators: this.accumulators,
      step: stepScalars(this.#settings, t, gradientScale),
      rates: Object.fromEntries(byGroup),
    });
  }

  /** Sets parameters and moments, for resuming. @param values by name, one array each. */
  async restore(
    kind: 'parameters' | 'first' | 'second',
    values: ReadonlyMap<string, HostArray>,
  ): Promise<void> {
    for (const [name, data] of values) await this[kind][name]!.write(data);
  }

  async dispose(): Promise<void> {
    await this.#norm.dispose();
    await this.#update.dispose();
    for (const group of [this.parameters, this.first, this.second, this.accumulators]) {
      for (const tensor of Object.values(group)) tensor.dispose();
    }
  }
}

type Specs = Readonly<Record<string, TensorSpec>>;
type Named = Readonly<Record<string, Tensor>>;

function compileNorm(specs: Specs, device: string): Promise<CompiledProgram> {
  const program = ({ gradients }: { gradients: Named }) => ({ squares: sumOfSquares(gradients) });
  return compile(program, { gradients: specs }, { device, name: 'gradient-norm' });
}

interface UpdateInputs {
  readonly parameters: Named;
  readonly first: Named;
  readonly second: Named;
  readonly accumulators: Named;
  readonly step: StepScalars;
  readonly rates: Readonly<Record<TrainedGroup, RateScalars>>;
}

function compileUpdate(
  specs: Specs,
  groups: Readonly<Record<string, TrainedGroup>>,
  settings: AdamwSettings,
  device: string,
): Promise<CompiledProgram> {
  const scalar = float32();
  const rates = TRAINED_GROUPS.map((group) => [group, { stepSize: scalar, decay: scalar }]);
  const state = { parameters: specs, first: specs, second: specs, accumulators: specs };
  return compile(
    (inputs: UpdateInputs) => updateAll(inputs, groups, settings),
    {
      ...state,
      step: { gradientScale: scalar, secondScale: scalar },
      rates: Object.fromEntries(rates),
    },
    { device, state: Object.keys(state), name: 'adamw' },
  );
}

/** One step of every parameter. A program; the accumulators come back as zeros. */
function updateAll(
  inputs: UpdateInputs,
  groups: Readonly<Record<string, TrainedGroup>>,
  settings: AdamwSettings,
) {
  const updated = mapValues(inputs.parameters, (parameter, name) =>
    adamwUpdate(
      settings,
      { parameter, first: inputs.first[name]!, second: inputs.second[name]! },
      inputs.accumulators[name]!,
      { ...inputs.step, ...inputs.rates[groups[name]!] },
    ),
  );
  return {
    parameters: mapValues(updated, ({ parameter }) => parameter),
    first: mapValues(updated, ({ first }) => first),
    second: mapValues(updated, ({ second }) => second),
    accumulators: mapValues(inputs.accumulators, (sum) => tf.zerosLike(sum)),
  };
}
