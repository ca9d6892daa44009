import { writeFile } from 'node:fs/promises';
import path from 'node:path';
import { Disposables } from '../disposables.js';
import { EngineError } from '../errors.js';
import {
  bytesPerElement,
  collectGarbage,
  DeviceValue,
  type ExecutionProvider,
  kindOf,
  makeRoomToStay,
  trimHeap,
  uploadValue,
  writeFromHost,
} from '../executor/index.js';
import {
  boundAs,
  type Graph,
  placedAs,
  type Rows,
  rowsOf,
  sizeOf,
  type Value,
  type Weight,
  type WeightType,
} from '../graph/graph.js';
import { inPlaceRule } from '../graph/in-place.js';
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
  ReplayCounts,
  RunOptions,
  RunValue,
} from './device.js';
import { ExecutorTensor } from './executor-tensor.js';
import { FixedValues } from './fixed-values.js';
import { hostArray, mismatch, newHostArray } from './host.js';
import { type RecordedBinding, RecordedRuns } from './recorded-runs.js';
import type { ProgramBinding, ProgramLease, ProgramSession } from './staged-session.js';

const isDeviceTensor = (node: unknown): node is DeviceTensor =>
  typeof (node as DeviceTensor | undefined)?.read === 'function';

const isRunValue = (node: unknown): node is RunValue =>
  typeof node === 'number' || ArrayBuffer.isView(node) || isDeviceTensor(node) || isMapped(node);

/** Working memory of a program beside which the garbage of making it counts. */
const LARGE_BYTES = 64 * 2 ** 20;

/** What becomes of one output of a run. */
export interface OutputPlan {
  readonly path: string;
  readonly spec: TensorSpec;
  readonly state: boolean;
  /** State that the graph may write over its own input. */
  readonly inPlace: boolean;
}

export interface ProgramParts {
  readonly traced: Traced;
  readonly plans: readonly OutputPlan[];
  /** Belongs to the program from here on. */
  readonly lease: ProgramLease;
  readonly options: CompileOptions;
  readonly stats: CompileStats;
  /** What keeps its runs from being recorded, where that was asked for. */
  readonly obstacle?: string | undefined;
  /** The graph without layouts of this machine, for other machines to read. */
  readonly plain: () => Graph;
}

/** A traced program in a session of ONNX Runtime, with one binding that its runs share. */
export class ExecutorProgram implements CompiledProgram {
  readonly outputs: Tree<TensorSpec>;
  private readonly binding: ProgramBinding;
  private readonly plans: readonly OutputPlan[];
  /** Files of mapped weights. */
  private readonly stored: StoredValues;
  /** What is bound to the weights of the graph at present, by its names: the tensors in files among it. */
  private readonly boundTensors = new Map<string, MappedTensor>();
  private hasRun = false;
  private queue: Promise<unknown> = Promise.resolve();
  private end: Promise<void> | undefined;

  private readonly plain: () => Graph;
  private readonly inputs: Traced['inputs'];
  private readonly weights: Traced['weights'];
  /** Inputs of the graph that are weights. */
  private readonly weightValues: readonly WeightValue[];
  private readonly narrowWeightsAs: WeightType | undefined;
  private readonly lease: ProgramLease;
  private readonly options: CompileOptions;
  readonly stats: CompileStats;
  private readonly obstacle: string | undefined;
  private readonly recorded: RecordedRuns | undefined;
  /** Where a program that replays has what comes from the host, and its results. */
  private readonly fixed = new FixedValues();

  private constructor({ traced, plans, lease, options, stats, plain, obstacle }: ProgramParts) {
    const { session } = lease;
    this.obstacle = obstacle;
    this.recorded = options.replays
      ? new RecordedRuns(session.provider, options.name ?? 'program')
      : undefined;
    this.plain = plain;
    this.inputs = traced.inputs;
    this.weights = traced.weights;
    this.weightValues = weightsOf(traced.graph).filter(
      ({ name }) => session.find('input', name) !== undefined || options.prepareWeights === true,
    );
    this.lease = lease;
    this.options = options;
    this.stats = stats;
    this.binding = session.createBinding();
    this.narrowWeightsAs = traced.graph.narrowWeightsAs;
    this.stored = new StoredValues(session.provider, this.narrowWeightsAs);
    this.plans = plans;
    const returned = flatten(traced.outputs, isTensorSpec).filter(([name]) => !this.isState(name));
    this.outputs = nest(returned);
  }

  /** @throws EngineError FILE_INVALID when the file of a mapped weight cannot be read or ends too early. */
  static async create(parts: ProgramParts): Promise<ExecutorProgram> {
    let program: ExecutorProgram | undefined;
    try {
      program = new ExecutorProgram(parts);
      await program.bindMapped();
      return program;
    } catch (error) {
      if (program === undefined) parts.lease.dispose();
      await program?.dispose();
      throw error;
    }
  }

  get replays(): ReplayCounts | undefined {
    if (this.obstacle === undefined) return this.recorded?.counts;
    return { recorded: 0, replayed: 0, plain: 0, unrecordable: this.obstacle };
  }

  private get session(): ProgramSession {
    return this.lease.session;
  }

  private isState(name: string): boolean {
    return this.plans.some((plan) => plan.path === name && plan.state);
  }

  run(
    inputs: Tree<RunValue>,
    into: Tree<DeviceTensor> = {},
    { release = false }: RunOptions = {},
  ): Promise<Tree<DeviceTensor>> {
    if (this.end !== undefined) return Promise.reject(this.disposed());
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
    const targets = new Map(flatten<DeviceTensor>(into, isDeviceTensor));
    // Values of this run alone, and outputs that are the caller's once it has succeeded.
    const temporary = new Disposables();
    const created = new Disposables();
    try {
      this.assertKnown(given);
      this.assertApart(given, targets);
      // What programs of other shapes needed stands in the way of what this one will.
      if (!this.hasRun) await makeRoomToStay(this.session.provider);
      await this.bindInputs(given, temporary);
      await this.bindWeights(given, temporary);
      const made = await this.bindOutputs(given, targets, created);
      if (!this.hasRun) await this.forgetMaking();
      if (this.recorded === undefined) await this.binding.run({ trimMemory: release });
      else await this.recorded.run(this.binding as RecordedBinding);
      if (release) this.releaseMemory();
      // What it took to make the session is free now, and much of it stays with the C library.
      else if (!this.hasRun) trimHeap();
      this.hasRun = true;
      this.exchangeState(given);
      return nest(await this.collect(made));
    } catch (error) {
      created.dispose();
      throw error;
    } finally {
      temporary.dispose();
    }
  }

  private async bindInputs(
    given: ReadonlyMap<string, RunValue>,
    temporary: Disposables,
  ): Promise<void> {
    for (const [name, spec] of this.inputs) {
      const value = given.get(name);
      if (value === undefined) throw this.missing(name, spec);
      const isRead = this.session.find('input', name) !== undefined;
      if (isDeviceTensor(value)) {
        const resident = await this.resident(name, fitting(name, spec, value));
        if (isRead) this.binding.bindInput(name, resident);
        continue;
      }
      if (isMapped(value)) throw mismatch(name, spec, `${value.storedAs} in a file`);
      const array = hostArray(name, spec, value);
      if (!isRead) continue;
      if (this.recorded !== undefined) {
        const value = await this.fixed.at(name, spec, this.session.provider);
        await writeFromHost(value, array);
        this.binding.bindInput(name, value);
        continue;
      }
      const wrapped = temporary.add(DeviceValue.fromHost(array, spec.dtype, spec.shape));
      this.binding.bindInput(name, wrapped);
    }
  }

  /** Binds the weights that lie in files known beforehand; a prepared program has them in its session. */
  private async bindMapped(): Promise<void> {
    if (this.options.prepareWeights === true) return;
    for (const { name, weight } of this.weightValues) {
      if (weight.spec.kind === 'mapped') await this.bindStored(name, weight.spec, weight);
    }
  }

  /** Binds the weights that are given at each run. */
  private async bindWeights(
    given: ReadonlyMap<string, RunValue>,
    temporary: Disposables,
  ): Promise<void> {
    for (const [path, spec] of this.weights) assertWeightFits(path, spec, given.get(path));
    for (const value of this.weightValues) {
      const { name, weight } = value;
      if (weight.spec.kind !== 'weight') continue;
      const tensor = given.get(weight.path);
      if (isMapped(tensor)) await this.bindStored(name, tensor, weight);
      else await this.bindTensor(value, tensor as ExecutorTensor, temporary);
    }
  }

  private async bindStored(name: string, tensor: MappedTensor, { rows }: Weight): Promise<void> {
    this.binding.bindInput(name, await this.placed(name, tensor, rows));
    this.boundTensors.set(name, rowsOf(tensor, rows));
  }

  /** A weight in the memory of the device. @throws what the device says, with the name and the size of the weight. */
  private async placed(name: string, tensor: MappedTensor, rows?: Rows): Promise<DeviceValue> {
    try {
      if (!this.stored.has(tensor, rows)) await makeRoomToStay(this.session.provider);
      return await this.stored.value(tensor, rows);
    } catch (error) {
      const { provider } = this.session;
      if (provider === 'cpu' || (error as EngineError).code === 'FILE_INVALID') throw error;
      const { shape } = rowsOf(tensor, rows);
      const bytes = sizeOf(shape) * bytesPerElement(placedAs(tensor, this.narrowWeightsAs));
      const what = `${this.name}: weight "${name}", ${tensor.storedAs} (${shape.join(', ')})`;
      throw refused(what, bytes, provider, error);
    }
  }

  /** A tensor in the memory of the device. @throws as {@link placed}. */
  private async resident(name: string, tensor: ExecutorTensor): Promise<DeviceValue> {
    const { provider } = this.session;
    try {
      return await tensor.resident(provider);
    } catch (error) {
      if (provider === 'cpu' || (error as EngineError).code === 'DISPOSED') throw error;
      const { dtype, shape } = tensor;
      const what = `${this.name}: "${name}", ${dtype} (${shape.join(', ')})`;
      throw refused(what, sizeOf(shape) * bytesPerElement(dtype), provider, error);
    }
  }

  private async bindTensor(
    { name, shape, weight: { path, rows } }: WeightValue,
    tensor: ExecutorTensor,
    temporary: Disposables,
  ): Promise<void> {
    this.boundTensors.delete(name);
    const value = await tensor.resident(this.session.provider);
    if (rows === undefined) {
      this.binding.bindInput(name, value);
      return;
    }
    if (value.host === undefined) throw this.undivided(path);
    const row = sizeOf(shape.slice(1));
    const data = value.host.subarray(rows.first * row, (rows.first + rows.count) * row);
    this.binding.bindInput(name, temporary.add(DeviceValue.fromHost(data, 'float32', shape)));
  }

  private undivided(path: string): EngineError {
    return new EngineError({
      code: 'INPUT_INVALID',
      message: `${this.name}: weight "${path}" was given as a tensor of ${this.session.provider}, which is read in pieces there: expected a tensor in a file.`,
      hint: 'Give the tensor in its file, or use another device.',
    });
  }

  /** What it took to make a program that needs much memory itself goes back to the system before it runs. */
  private async forgetMaking(): Promise<void> {
    if (this.session.provider !== 'cpu' || this.stats.workingBytes < LARGE_BYTES) return;
    await collectGarbage();
    trimHeap();
  }

  private releaseMemory(): void {
    trimHeap();
    this.stored.evict(this.boundTensors.values());
  }

  /** @returns the tensors of the outputs that are known before the run. */
  private async bindOutputs(
    given: ReadonlyMap<string, RunValue>,
    targets: ReadonlyMap<string, DeviceTensor>,
    created: Disposables,
  ): Promise<Map<string, ExecutorTensor>> {
    const { provider } = this.session;
    const made = new Map<string, ExecutorTensor>();
    for (const plan of this.plans) {
      const name = outputName(plan.path);
      if (plan.state) {
        const tensor = this.stateTensor(given, plan.path);
        const value = plan.inPlace ? tensor.resident(provider) : tensor.next();
        this.binding.bindOutput(name, await value);
        continue;
      }
      const target = targets.get(plan.path);
      if (target === undefined && this.recorded !== undefined) {
        this.binding.bindOutput(name, await this.fixed.at(name, plan.spec, provider));
        continue;
      }
      if (target === undefined && provider !== 'cpu') {
        // A GPU allocates its own at the run.
        this.binding.bindOutputToDevice!(name);
        continue;
      }
      const tensor = fitting(plan.path, plan.spec, target ?? created.add(newTensor(plan.spec)));
      made.set(plan.path, tensor);
      this.binding.bindOutput(name, await tensor.resident(provider));
    }
    return made;
  }

  private async collect(
    made: ReadonlyMap<string, ExecutorTensor>,
  ): Promise<[string, DeviceTensor][]> {
    const { provider } = this.session;
    const results = provider === 'cpu' ? [] : this.binding.outputs!();
    const collected: [string, DeviceTensor][] = [];
    for (const [index, { path: name, spec, state }] of this.plans.entries()) {
      if (state) continue;
      const target = made.get(name);
      const value = () =>
        this.recorded === undefined ? results[index]! : uploadValue(results[index]!, provider);
      collected.push([name, target ?? new ExecutorTensor(spec, await value())]);
    }
    return collected;
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

  /** What a run writes it must not read elsewhere, nor write twice: old and new values would mix. */
  private assertApart(
    given: ReadonlyMap<string, RunValue>,
    targets: ReadonlyMap<string, DeviceTensor>,
  ): void {
    const written = new Map<unknown, string>();
    for (const { path: output, state } of this.plans) {
      const tensor = state ? given.get(output) : targets.get(output);
      if (written.has(tensor)) throw this.shared(written.get(tensor)!, `the output "${output}"`);
      if (tensor !== undefined) written.set(tensor, output);
    }
    for (const [input, tensor] of given) {
      const output = written.get(tensor);
      const isOwn = output === input && this.isState(output);
      if (output !== undefined && !isOwn) throw this.shared(output, `the input "${input}"`);
    }
  }

  private shared(output: string, other: string): EngineError {
    return new EngineError({
      code: 'INPUT_INVALID',
      message: `${this.name}: the tensor of the output "${output}" was also given for ${other}.`,
      hint: 'Give every output a tensor of its own.',
    });
  }

  private disposed(): EngineError {
    return new EngineError({
      code: 'DISPOSED',
      message: `${this.name}: the program was run after it was disposed.`,
      hint: 'Dispose a program after its last run; a program of a cache is used inside of the work that it was lent for.',
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
    return [...this.inputs.keys(), ...this.weights.keys()].slice(0, 12).join(', ');
  }

  private assertKnown(given: ReadonlyMap<string, RunValue>): void {
    for (const name of given.keys()) {
      if (this.inputs.has(name) || this.weights.has(name)) continue;
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

  /** Runs that were asked for before end first. */
  dispose(): Promise<void> {
    this.end ??= this.queue.then(() => {
      this.lease.dispose();
      this.fixed.dispose();
      return this.stored.dispose();
    });
    return this.end;
  }
}

/**
 * @param mayAlias whether state may be written over its input.
 * @throws EngineError PROGRAM_INVALID | INPUT_INVALID for state that is not both input and output, in one shape.
 */
export function planOutputs(
  traced: Traced,
  options: CompileOptions,
  mayAlias: boolean,
): OutputPlan[] {
  const states = new Set(options.state ?? []);
  const specs = flatten(traced.outputs, isTensorSpec);
  for (const name of states) assertState(traced, name, specs);
  const overwrites = inPlaceRule(traced.graph);
  return specs.map(([name, spec]) => {
    const state = states.has(name.split('/')[0]!);
    if (state) assertStateFits(traced, name, spec);
    const inPlace = state && mayAlias && overwrites(name, outputName(name));
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

function newTensor(spec: TensorSpec): ExecutorTensor {
  const array = newHostArray(spec.dtype, sizeOf(spec.shape));
  return new ExecutorTensor(spec, DeviceValue.fromHost(array, spec.dtype, spec.shape));
}

/** An input of a graph that is a weight, or rows of one. */
type WeightValue = Pick<Value, 'name' | 'shape'> & { readonly weight: Weight };

const weightsOf = (graph: Graph): WeightValue[] =>
  graph.inputs.flatMap(({ name, shape, weight }) =>
    weight === undefined ? [] : [{ name, shape, weight }],
  );

/** A tensor that a session can use for this spec. @throws EngineError INPUT_INVALID. */
function fitting(name: string, spec: TensorSpec, tensor: DeviceTensor): ExecutorTensor {
  const fits = tensor.dtype === spec.dtype && tensor.shape.join() === spec.shape.join();
  if (fits && tensor instanceof ExecutorTensor) return tensor;
  const found = `${tensor.dtype} (${tensor.shape.join(', ')})`;
  throw mismatch(name, spec, fits ? `a tensor ${found} of an eager device` : found);
}

function assertWeightFits(path: string, spec: WeightSpec, value: RunValue | undefined): void {
  const isTensor = value instanceof ExecutorTensor;
  const storedAs = isMapped(value)
    ? boundAs(value)
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

function refused(
  what: string,
  bytes: number,
  device: ExecutionProvider,
  cause: unknown,
): EngineError {
  return new EngineError({
    code: 'RUN_FAILED',
    message: `${what}, takes ${Math.ceil(bytes / 2 ** 20)} MiB on ${device}, which did not take them: ${(cause as Error).message}`,
    hint:
      kindOf(device) === 'webgpu'
        ? 'An adapter of WebGPU takes no buffer above its maxBufferSize, often 1 or 2 GiB, and a GPU no more than is free: use another device, or a smaller model.'
        : (cause as EngineError).hint,
    cause,
  });
}
