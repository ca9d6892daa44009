import { SpatialError } from '@spatialsv/core';
import {
  type CompiledProgram,
  compile,
  type DeviceTensor,
  float32,
  type ProgramTarget,
  placeTensors,
  sizeOf,
  type Tensor,
  type TensorSpec,
} from '@spatialsv/engine';
import type { RatesByGroup, TrainedGroup } from '../groups.js';
import { mapValues } from '../records.js';
import { type AdamwSettings, rateScalars, stepScalars, sumOfSquares } from './adamw.js';
import { CompiledAdamw } from './compiled-adamw.js';
import { FusedAdamw } from './fused-adamw.js';
import type { GroupUpdate, OptimizerTensors, Tensors } from './group-update.js';
import { QuantisedAdamw } from './quantised-adamw.js';

/** A parameter to be trained, with its value before the first step. */
export interface TrainableParameter {
  readonly shape: readonly number[];
  readonly group: TrainedGroup;
  /** The value, or what writes it: a large one is then never held twice. */
  readonly data: Float32Array | ((target: Float32Array) => Promise<void>);
  /** Whether weight decay pulls it. */
  readonly decays?: boolean;
}

/** Settings of the optimiser that do not change during a run. */
export interface OptimizerSettings extends AdamwSettings {
  /** Bits of a value of the moments. */
  readonly stateBits?: 8 | 32;
  /** Whether an NVIDIA GPU replays updates as CUDA graphs. */
  readonly replays?: boolean;
}

/**
 * AdamW over named parameters that live on the device, with their moments and gradient accumulators. Nothing passes
 * through JavaScript but the norm. Parameters that decay and those that do not, moments of 32 and of 8 bits are updated apart.
 */
export class AdamwOptimizer implements OptimizerTensors {
  readonly parameters: Tensors;
  readonly first: OptimizerTensors['first'];
  readonly second: OptimizerTensors['second'];
  /** Sums of gradients; {@link step} leaves zeros. */
  readonly accumulators: Tensors;
  readonly #norm: NormProgram;
  readonly #updates: readonly UpdatedMembers[];

  private constructor(updates: readonly UpdatedMembers[], norm: NormProgram) {
    const merged = <Kind extends keyof OptimizerTensors>(kind: Kind): OptimizerTensors[Kind] =>
      Object.assign({}, ...updates.map(({ update }) => update.tensors[kind]));
    this.parameters = merged('parameters');
    this.first = merged('first');
    this.second = merged('second');
    this.accumulators = merged('accumulators');
    this.#norm = norm;
    this.#updates = updates;
  }

  static async create(
    parameters: Readonly<Record<string, TrainableParameter>>,
    settings: OptimizerSettings,
    device: string,
  ): Promise<AdamwOptimizer> {
    const updates: UpdatedMembers[] = [];
    try {
      for (const { members, isQuantised, ...kind } of alike(parameters, settings)) {
        const specs = mapValues(members, ({ shape }) => float32(...shape));
        const update = await updateFor(isQuantised, device).create(specs, kind.settings, device);
        updates.push({ ...kind, update });
        await writeValues(update.tensors.parameters, members, device);
      }
      const specs = mapValues(parameters, ({ shape }) => float32(...shape));
      const target = { device, replays: settings.replays };
      return new AdamwOptimizer(updates, await compileNorm(specs, target));
    } catch (error) {
      for (const { update } of updates) await update.dispose();
      throw error;
    }
  }

  /** Global norm of the accumulated gradients. */
  async gradientNorm(): Promise<number> {
    const { squares } = await this.#norm.run({ gradients: this.accumulators });
    const [value] = await squares.read();
    squares.dispose();
    return Math.sqrt(value!);
  }

  /**
   * Applies the accumulated gradients times `gradientScale` and clears them. Where it fails, some parameters may have taken the step.
   * @param t number of this step, 1 for the first. @param rates learning rate by group.
   */
  async step(t: number, rates: RatesByGroup, gradientScale: number): Promise<void> {
    for (const { group, settings, update } of this.#updates) {
      await update.run({
        ...stepScalars(settings, t, gradientScale),
        ...rateScalars(settings, t, rates[group]),
      });
    }
  }

  async dispose(): Promise<void> {
    await this.#norm.dispose();
    for (const { update } of this.#updates) await update.dispose();
  }
}

/** Sets the values before the first step. */
async function writeValues(tensors: Tensors, members: Members, device: string): Promise<void> {
  for (const [name, { data }] of Object.entries(members)) {
    const tensor = tensors[name]!;
    await writeValue(tensor, data);
    // With a GPU no two of them are on the host at once.
    await placeTensors([tensor], device);
  }
}

async function writeValue(tensor: DeviceTensor, data: TrainableParameter['data']): Promise<void> {
  if (typeof data !== 'function') return tensor.write(data);
  // The memory of the tensor itself where it lies in that of the process; a copy elsewhere.
  const values = (await tensor.read()) as Float32Array;
  await data(values);
  await tensor.write(values);
}

/** Members of a group that are updated alike. */
interface UpdatedMembers {
  readonly group: TrainedGroup;
  readonly settings: AdamwSettings;
  readonly update: GroupUpdate;
}

type Members = Record<string, TrainableParameter>;

interface AlikeMembers extends Omit<UpdatedMembers, 'update'> {
  readonly members: Members;
  readonly isQuantised: boolean;
}

/** Values of a tensor from which on its moments take 8 bits: small ones save nothing, and norms and biases suffer most. */
const QUANTISED_FROM = 4096;

function alike(
  parameters: Readonly<Members>,
  { stateBits = 32, ...settings }: OptimizerSettings,
): readonly AlikeMembers[] {
  const groups = new Map<string, AlikeMembers>();
  for (const [name, parameter] of Object.entries(parameters)) {
    const { group, shape, decays = true } = parameter;
    const size = sizeOf(shape);
    const isQuantised = stateBits === 8 && size >= QUANTISED_FROM;
    const weightDecay = decays ? settings.weightDecay : 0;
    const key = [group, weightDecay, isQuantised].join();
    const own = { ...settings, weightDecay };
    const found = groups.get(key) ?? { group, settings: own, isQuantised, members: {} };
    found.members[name] = parameter;
    groups.set(key, found);
  }
  return [...groups.values()];
}

/** On the CPU the update is one loop over memory; other devices run it as a program. */
function updateFor(isQuantised: boolean, device: string) {
  if (isQuantised && device === 'cpu') return QuantisedAdamw;
  if (!isQuantised) return device === 'cpu' ? FusedAdamw : CompiledAdamw;
  throw new SpatialError({
    code: 'CONFIG_INVALID',
    message: `optimizer.stateBits: moments of 8 bits need the device cpu, found '${device}'`,
    hint: 'Set stateBits: 32, or device: cpu.',
  });
}

type Specs = Readonly<Record<string, TensorSpec>>;
type Named = Readonly<Record<string, Tensor>>;

type NormProgram = CompiledProgram<{ readonly squares: DeviceTensor }>;

function compileNorm(specs: Specs, target: ProgramTarget): Promise<NormProgram> {
  const program = ({ gradients }: { gradients: Named }) => ({ squares: sumOfSquares(gradients) });
  return compile(program, { gradients: specs }, { ...target, rests: true, name: 'gradient-norm' });
}
