import {
  type CompiledProgram,
  compile,
  type DeviceTensor,
  float32,
  type Tensor,
  type TensorSpec,
} from '@spatialsv/engine';
import type { RatesByGroup, TrainedGroup } from '../groups.js';
import { mapValues } from '../records.js';
import { type AdamwSettings, rateScalars, stepScalars, sumOfSquares } from './adamw.js';
import { ChunkedAdamw } from './chunked-adamw.js';
import { CompiledAdamw } from './compiled-adamw.js';
import type { GroupUpdate, OptimizerTensors, Tensors } from './group-update.js';

/** A parameter to be trained, with its value before the first step. */
export interface TrainableParameter {
  readonly shape: readonly number[];
  readonly group: TrainedGroup;
  readonly data: Float32Array;
}

/**
 * AdamW over named parameters that live on the device, with their moments and gradient accumulators. Nothing passes
 * through JavaScript but the norm.
 */
export class AdamwOptimizer implements OptimizerTensors {
  readonly parameters: Tensors;
  readonly first: Tensors;
  readonly second: Tensors;
  /** Sums of gradients; {@link step} leaves zeros. */
  readonly accumulators: Tensors;
  readonly #settings: AdamwSettings;
  readonly #norm: CompiledProgram;
  readonly #updates: ReadonlyMap<TrainedGroup, GroupUpdate>;
  #isWhole = true;

  private constructor(
    updates: ReadonlyMap<TrainedGroup, GroupUpdate>,
    settings: AdamwSettings,
    norm: CompiledProgram,
  ) {
    const merged = (kind: keyof OptimizerTensors): Tensors =>
      Object.assign({}, ...[...updates.values()].map((update) => update.tensors[kind]));
    this.parameters = merged('parameters');
    this.first = merged('first');
    this.second = merged('second');
    this.accumulators = merged('accumulators');
    this.#settings = settings;
    this.#norm = norm;
    this.#updates = updates;
  }

  static async create(
    parameters: Readonly<Record<string, TrainableParameter>>,
    settings: AdamwSettings,
    device: string,
  ): Promise<AdamwOptimizer> {
    // On the CPU the update works in chunks that stay in the cache; other devices have no such memory to save.
    const Update = device === 'cpu' ? ChunkedAdamw : CompiledAdamw;
    const updates = new Map<TrainedGroup, GroupUpdate>();
    for (const [group, members] of byGroup(parameters)) {
      const specs = mapValues(members, ({ shape }) => float32(...shape));
      const update = await Update.create(specs, settings, device);
      for (const [name, { data }] of Object.entries(members)) {
        await update.tensors.parameters[name]!.write(data);
      }
      updates.set(group, update);
    }
    const specs = mapValues(parameters, ({ shape }) => float32(...shape));
    return new AdamwOptimizer(updates, settings, await compileNorm(specs, device));
  }

  /** Whether every parameter has taken the same steps; false for good once {@link step} has failed half-way. */
  get isWhole(): boolean {
    return this.#isWhole;
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
    this.#isWhole = false;
    for (const [group, update] of this.#updates) {
      await update.run({
        ...stepScalars(this.#settings, t, gradientScale),
        ...rateScalars(this.#settings, t, rates[group]),
      });
    }
    this.#isWhole = true;
  }

  async dispose(): Promise<void> {
    await this.#norm.dispose();
    for (const update of this.#updates.values()) await update.dispose();
  }
}

type Members = Record<string, TrainableParameter>;

function byGroup(parameters: Readonly<Members>): Map<TrainedGroup, Members> {
  const groups = new Map<TrainedGroup, Members>();
  for (const [name, parameter] of Object.entries(parameters)) {
    const members = groups.get(parameter.group) ?? {};
    members[name] = parameter;
    groups.set(parameter.group, members);
  }
  return groups;
}

type Specs = Readonly<Record<string, TensorSpec>>;
type Named = Readonly<Record<string, Tensor>>;

function compileNorm(specs: Specs, device: string): Promise<CompiledProgram> {
  const program = ({ gradients }: { gradients: Named }) => ({ squares: sumOfSquares(gradients) });
  return compile(program, { gradients: specs }, { device, name: 'gradient-norm' });
}
