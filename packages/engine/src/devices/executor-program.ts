import { writeFile } from 'node:fs/promises';
import path from 'node:path';
import { EngineError } from '../errors.js';
import { type Binding, DeviceValue, type Session, trimHeap } from '../executor/index.js';
import { type Graph, rowsOf, sizeOf, type Value, type Weight } from '../graph/graph.js';
import { writesInPlace } from '../graph/in-place.js';
import { encodeModel } from '../onnx/encode.js';
import {
  isMapped,
  type MappedTensor,
  type TensorSpec,
  type Tree,
  type WeightSpec,
} from '../specs.js';
import { outputName, type Traced } from '../trace/trace.js';
import { flatten, isTensorSpec, nest } from '../tree.js';
import { StoredValues } from '../weights/stored-values.js';
import type {
  CompiledProgram,
  CompileOptions,
  CompileStats,
  DeviceTensor,
  RunOptions,
  RunValue,
} from './device.js';
import { ExecutorTensor } from './executor-tensor.js';
import { hostArray, mismatch, newHostArray } from './host.js';

const isRunValue = (node: unknown): node is RunValue =>
  typeof node === 'number' ||
  ArrayBuffer.isView(node) ||
  node instanceof ExecutorTensor ||
  isMapped(node);

const isExecutorTensor = (node: unknown): node is ExecutorTensor => node instanceof ExecutorTensor;

/** What becomes of one output of a run. */
interface OutputPlan {
  readonly path: string;
  readonly spec: TensorSpec;
  readonly state: boolean;
  /** State that the graph may write over its own input. */
  readonly inPlace: boolean;
}

/** A traced program in a session of ONNX Runtime, with one binding that its runs share. */
export class ExecutorProgram implements CompiledProgram {
  readonly outputs: Tree<TensorSpec>;
  private readonly binding: Binding;
  private readonly plans: readonly OutputPlan[];
  /** Files of mapped weights. */
  private readonly stored: StoredValues;
  /** What is bound to the weights of the graph at present, by its names: the tensors in files among it. */
  private readonly boundTensors = new Map<string, MappedTensor>();
  private queue: Promise<unknown> = Promise.resolve();

  private readonly plain: () => Graph;
  private readonly traced: Traced;
  private readonly session: Session;
  private readonly options: CompileOptions;
  readonly stats: CompileStats;

  private constructor(
    traced: Traced,
    session: Session,
    options: CompileOptions,
    stats: CompileStats,
    plain: () => Graph,
  ) {
    this.plain = plain;
    this.traced = traced;
    this.session = session;
    this.options = options;
    this.stats = stats;
    this.binding = session.createBinding();
    this.stored = new StoredValues(session.device);
    this.plans = planOutputs(traced, options, session.device === 'cpu');
    const returned = flatten(traced.outputs, isTensorSpec).filter(([name]) => !this.isState(name));
    this.outputs = nest(returned);
  }

  /**
   * @param plain the graph without layouts of this machine, for other machines to read.
   * @throws EngineError FILE_INVALID when the file of a mapped weight cannot be read or ends too early.
   */
  static async create(
    traced: Traced,
    session: Session,
    options: CompileOptions,
    stats: CompileStats,
    plain: () => Graph,
  ): Promise<ExecutorProgram> {
    const program = new ExecutorProgram(traced, session, options, stats, plain);
    try {
      await program.bindMapped();
      return program;
    } catch (error) {
      await program.dispose();
      throw error;
    }
  }

  private isState(name: string): boolean {
    return this.plans.some((plan) => plan.path === name && plan.state);
  }

  run(
    inputs: Tree<RunValue>,
    into: Tree<DeviceTensor> = {},
    { release = false }: RunOptions = {},
  ): Promise<Tree<DeviceTensor>> {
    const result = this.queue.then(() => this.runNow(inputs, into, release));
    this.queue = result.catch(() => undefined);
    return result;
  }

  private async runNow(
    inputs: Tree<RunValue>,
    into: Tree<DeviceTensor>,
    release: boolean,
  ): Promise<Tree<DeviceTensor>> {
    const given = new Map(flatten(inputs, isRunValue));
    const temporary = await this.bindInputs(given);
    const made = await this.bindOutputs(
      given,
      new Map(flatten<ExecutorTensor>(into as Tree<ExecutorTensor>, isExecutorTensor)),
    );
    try {
      await this.binding.run({ trimMemory: release });
    } finally {
      for (const value of temporary) value.dispose();
    }
    if (release) this.releaseMemory();
    this.exchangeState(given);
    return nest(this.collect(made));
  }

  /** @returns the values that were wrapped for this run alone. */
  private async bindInputs(given: ReadonlyMap<string, RunValue>): Promise<DeviceValue[]> {
    this.assertKnown(given);
    const temporary: DeviceValue[] = [];
    for (const [name, spec] of this.traced.inputs) {
      const value = given.get(name);
      if (value === undefined) throw this.missing(name, spec);
      if (value instanceof ExecutorTensor) {
        assertFits(name, spec, value);
        this.binding.bindInput(name, await value.resident(this.session.device));
        continue;
      }
      const array = hostArray(name, spec, value as never);
      const wrapped = DeviceValue.fromHost(array, spec.dtype, spec.shape);
      temporary.push(wrapped);
      this.binding.bindInput(name, wrapped);
    }
    temporary.push(...(await this.bindWeights(given)));
    return temporary;
  }

  /** Binds the weights that lie in files known beforehand; a prepared program has them in its session. */
  private async bindMapped(): Promise<void> {
    if (this.options.prepareWeights === true) return;
    for (const { name, weight } of this.traced.graph.inputs) {
      if (weight?.spec.kind === 'mapped') await this.bindStored(name, weight.spec, weight);
    }
  }

  /** @returns the values that were wrapped for this run alone. */
  private async bindWeights(given: ReadonlyMap<string, RunValue>): Promise<DeviceValue[]> {
    const temporary: DeviceValue[] = [];
    for (const [path, spec] of this.traced.weights) assertWeightFits(path, spec, given.get(path));
    for (const { name, weight, shape } of this.traced.graph.inputs) {
      if (weight?.spec.kind !== 'weight') continue;
      const value = given.get(weight.path);
      if (isMapped(value)) await this.bindStored(name, value, weight);
      else
        temporary.push(
          ...(await this.bindTensor({ name, shape }, value as ExecutorTensor, weight)),
        );
    }
    return temporary;
  }

  private async bindStored(name: string, tensor: MappedTensor, { rows }: Weight): Promise<void> {
    const part = rowsOf(tensor, rows);
    this.binding.bindInput(name, await this.stored.value(part));
    this.boundTensors.set(name, part);
  }

  private async bindTensor(
    { name, shape }: Pick<Value, 'name' | 'shape'>,
    tensor: ExecutorTensor,
    { rows }: Weight,
  ): Promise<DeviceValue[]> {
    this.boundTensors.delete(name);
    const value = await tensor.resident(this.session.device);
    if (rows === undefined) {
      this.binding.bindInput(name, value);
      return [];
    }
    const row = sizeOf(shape.slice(1));
    const data = value.host!.subarray(rows.first * row, (rows.first + rows.count) * row);
    const part = DeviceValue.fromHost(data, 'float32', shape);
    this.binding.bindInput(name, part);
    return [part];
  }

  private releaseMemory(): void {
    trimHeap();
    this.stored.evict(this.boundTensors.values());
  }

  /** @returns the tensors of the outputs that are known before the run. */
  private async bindOutputs(
    given: ReadonlyMap<string, RunValue>,
    targets: ReadonlyMap<string, ExecutorTensor>,
  ): Promise<Map<string, ExecutorTensor>> {
    const made = new Map<string, ExecutorTensor>();
    for (const plan of this.plans) {
      const name = outputName(plan.path);
      if (plan.state) {
        const tensor = this.stateTensor(given, plan.path);
        this.binding.bindOutput(name, plan.inPlace ? tensor.value : await tensor.next());
        continue;
      }
      const tensor = targets.get(plan.path) ?? this.newOutput(plan.spec);
      if (tensor === undefined) {
        this.binding.bindOutputToDevice(name);
        continue;
      }
      assertFits(plan.path, plan.spec, tensor);
      made.set(plan.path, tensor);
      this.binding.bindOutput(name, await tensor.resident(this.session.device));
    }
    return made;
  }

  /** Memory for an output on the CPU; a GPU allocates its own at the run. */
  private newOutput(spec: TensorSpec): ExecutorTensor | undefined {
    if (this.session.device !== 'cpu') return undefined;
    const array = newHostArray(spec.dtype, sizeOf(spec.shape));
    return new ExecutorTensor(spec, DeviceValue.fromHost(array, spec.dtype, spec.shape));
  }

  private collect(made: ReadonlyMap<string, ExecutorTensor>): [string, DeviceTensor][] {
    const results = this.session.device === 'cpu' ? [] : this.binding.outputs();
    return this.plans.flatMap((plan, index): [string, DeviceTensor][] => {
      if (plan.state) return [];
      const tensor = made.get(plan.path) ?? new ExecutorTensor(plan.spec, results[index]!);
      return [[plan.path, tensor]];
    });
  }

  private exchangeState(given: ReadonlyMap<string, RunValue>): void {
    for (const plan of this.plans) {
      if (plan.state && !plan.inPlace) this.stateTensor(given, plan.path).exchange();
    }
  }

  private stateTensor(given: ReadonlyMap<string, RunValue>, name: string): ExecutorTensor {
    const value = given.get(name);
    if (value instanceof ExecutorTensor) return value;
    throw new EngineError({
      code: 'INPUT_INVALID',
      message: `${this.name}: state "${name}" was given as host data, expected a device tensor.`,
      hint: 'Make it with createTensor(spec, data) and pass the same tensor to every run.',
    });
  }

  private get name(): string {
    return this.options.name ?? 'program';
  }

  private missing(name: string, spec: TensorSpec): EngineError {
    return new EngineError({
      code: 'INPUT_INVALID',
      message: `${this.name}: input "${name}" (${spec.dtype} (${spec.shape.join(', ')})) was not given.`,
      hint: `The program takes ${this.knownInputs()}.`,
    });
  }

  private knownInputs(): string {
    const { inputs, weights } = this.traced;
    return [...inputs.keys(), ...weights.keys()].slice(0, 12).join(', ');
  }

  private assertKnown(given: ReadonlyMap<string, RunValue>): void {
    for (const name of given.keys()) {
      if (this.traced.inputs.has(name) || this.traced.weights.has(name)) continue;
      throw new EngineError({
        code: 'INPUT_INVALID',
        message: `${this.name}: "${name}" is no input of the program.`,
        hint: `The program takes ${this.knownInputs()}.`,
      });
    }
  }

  async save(file: string): Promise<void> {
    await writeFile(file, encodeModel(this.plain(), path.dirname(path.resolve(file))));
  }

  async dispose(): Promise<void> {
    await this.queue;
    this.binding.dispose();
    this.session.dispose();
    await this.stored.dispose();
  }
}

function planOutputs(traced: Traced, options: CompileOptions, mayAlias: boolean): OutputPlan[] {
  const states = new Set(options.state ?? []);
  const specs = flatten(traced.outputs, isTensorSpec);
  for (const name of states) assertState(traced, name, specs);
  return specs.map(([name, spec]) => {
    const state = states.has(name.split('/')[0]!);
    if (state) assertStateFits(traced, name, spec);
    const inPlace = state && mayAlias && writesInPlace(traced.graph, name, outputName(name));
    return { path: name, spec, state, inPlace };
  });
}

function assertState(traced: Traced, name: string, outputs: [string, TensorSpec][]): void {
  const belongs = (candidate: string) => candidate === name || candidate.startsWith(`${name}/`);
  const missing = outputs.some(([candidate]) => belongs(candidate))
    ? [...traced.inputs.keys()].some(belongs)
      ? undefined
      : 'input'
    : 'output';
  if (missing === undefined) return;
  throw new EngineError({
    code: 'PROGRAM_INVALID',
    message: `State "${name}" is no ${missing} of the program.`,
    hint: 'State is taken as an input and returned under the same name.',
  });
}

function assertStateFits(traced: Traced, name: string, spec: TensorSpec): void {
  const input = traced.inputs.get(name);
  if (
    input !== undefined &&
    input.shape.join() === spec.shape.join() &&
    input.dtype === spec.dtype
  ) {
    return;
  }
  const found =
    input === undefined ? 'no such input' : `${input.dtype} (${input.shape.join(', ')})`;
  throw mismatch(`State "${name}": output`, spec, `${found} as its input`);
}

function assertFits(name: string, spec: TensorSpec, tensor: DeviceTensor): void {
  if (tensor.dtype === spec.dtype && tensor.shape.join() === spec.shape.join()) return;
  throw mismatch(name, spec, `${tensor.dtype} (${tensor.shape.join(', ')})`);
}

function assertWeightFits(path: string, spec: WeightSpec, value: RunValue | undefined): void {
  const isTensor = value instanceof ExecutorTensor;
  const storedAs = isMapped(value)
    ? value.storedAs
    : isTensor && value.dtype === 'float32' && 'F32';
  const shape = isTensor || isMapped(value) ? value.shape.join() : undefined;
  if (storedAs === spec.storedAs && shape === spec.shape.join()) return;
  const found = shape === undefined ? 'no such value' : `${storedAs || 'other'} (${shape})`;
  throw new EngineError({
    code: 'INPUT_INVALID',
    message: `weight "${path}": expected ${spec.storedAs} (${spec.shape.join()}), found ${found}.`,
    hint: 'Give a tensor in a file, or for F32 a float32 tensor of the device, of the shape that was compiled.',
  });
}
