import { EngineError } from '../errors.js';
import { Lane } from '../executor/index.js';
import { sizeOf } from '../graph/graph.js';
import {
  type HostArray,
  isMapped,
  type MappedTensor,
  type Program,
  type SpecTree,
  type TensorSpec,
  type Tree,
  type WeightSpec,
} from '../specs.js';
import { type Tensor, tf } from '../tfjs.js';
import { flatten, isSpec, isTensor, mapTree, nest } from '../tree.js';
import {
  type CompiledProgram,
  type CompileOptions,
  type Device,
  type DeviceTensor,
  openDevice,
  type RunValue,
} from './device.js';
import { withGradients } from './gradients.js';
import { hostArray, mismatch, newHostArray } from './host.js';
import { assertFloat32 } from './precision-support.js';

/** A tensor of a tfjs backend. */
class EagerTensor implements DeviceTensor {
  private readonly backend: string;
  private current: Tensor;

  constructor(backend: string, value: Tensor) {
    this.backend = backend;
    this.current = value;
  }

  get shape(): readonly number[] {
    return this.current.shape;
  }

  get dtype(): TensorSpec['dtype'] {
    return this.current.dtype as TensorSpec['dtype'];
  }

  /** @throws EngineError DISPOSED. */
  get value(): Tensor {
    if (!this.current.isDisposed) return this.current;
    throw new EngineError({
      code: 'DISPOSED',
      message: `A tensor ${this.dtype} (${this.shape.join(', ')}) is used after it was disposed.`,
      hint: 'Dispose a tensor after the last run and the last read that need it.',
    });
  }

  async read(): Promise<HostArray> {
    return (await this.value.data()) as HostArray;
  }

  async write(data: HostArray): Promise<void> {
    const array = hostArray('tensor', { shape: this.shape, dtype: this.dtype }, data);
    this.replace(await onBackend(this.backend, () => toTensor(array, this)));
  }

  /** Takes over a new value and releases the old one. */
  replace(value: Tensor): void {
    const isDisposed = this.current.isDisposed;
    this.current.dispose();
    this.current = value;
    // Disposed while the value was made: nobody will do it again.
    if (isDisposed) value.dispose();
  }

  dispose(): void {
    this.current.dispose();
  }
}

const toTensor = (data: HostArray, spec: TensorSpec): Tensor =>
  tf.keep(tf.tensor(data.slice(), [...spec.shape], spec.dtype));

/** Backends that have been started; starting one may take a while. */
const started = new Map<string, Promise<void>>();

/** Runs a function with another tfjs backend selected, which is started before where it was not. */
async function onBackend<Result>(name: string, body: () => Result): Promise<Result> {
  const start = started.get(name) ?? startBackend(name);
  started.set(name, start);
  await start;
  return selecting(name, body);
}

async function startBackend(name: string): Promise<void> {
  const previous = tf.getBackend();
  await tf.setBackend(name);
  void tf.setBackend(previous || name);
}

/** Without a pause between: two runs on two backends would take each other's. */
function selecting<Result>(name: string, body: () => Result): Result {
  const previous = tf.getBackend();
  void tf.setBackend(name); // Synchronous in effect: the backend is started.
  try {
    return body();
  } finally {
    void tf.setBackend(previous || name);
  }
}

/** Runs programs operation by operation on a tfjs backend: no graph, no compilation. */
export class EagerDevice implements Device {
  readonly name: string;
  private readonly backend: string;

  constructor(name: string, backend: string) {
    this.name = name;
    this.backend = backend;
  }

  createTensor(spec: TensorSpec, data?: HostArray): DeviceTensor {
    const array =
      data === undefined
        ? newHostArray(spec.dtype, sizeOf(spec.shape))
        : hostArray('tensor', spec, data);
    return selecting(this.backend, () => new EagerTensor(this.backend, toTensor(array, spec)));
  }

  async compile(
    program: Program,
    specs: SpecTree,
    options: CompileOptions,
  ): Promise<CompiledProgram> {
    assertFloat32(this.name, options.precision ?? 'float32');
    const weights = new EagerWeights(this.backend);
    await weights.load(
      flatten(specs, isSpec).flatMap(([, spec]) => (isMapped(spec) ? [spec] : [])),
    );
    const differentiated = withGradients(program, options.gradients);
    return new EagerProgram(this.backend, differentiated, specs, options, weights);
  }
}

/** Weights that stay in a file elsewhere are read once here; the CPU device casts them. */
class EagerWeights {
  private readonly backend: string;
  private readonly loaded = new Map<string, Tensor>();
  /** One at a time: of two first uses the second finds what the first has read. */
  private readonly loads = new Lane();

  constructor(backend: string) {
    this.backend = backend;
  }

  load(tensors: readonly MappedTensor[]): Promise<void> {
    return this.loads.run(() => this.loadMissing(tensors));
  }

  private async loadMissing(tensors: readonly MappedTensor[]): Promise<void> {
    const missing = tensors.filter((tensor) => !this.loaded.has(keyOf(tensor)));
    if (missing.length === 0) return;
    const data = await readMapped(missing);
    await onBackend(this.backend, () => {
      for (const [i, tensor] of missing.entries()) {
        const { shape } = tensor;
        this.loaded.set(keyOf(tensor), toTensor(data[i]!, { shape, dtype: 'float32' }));
      }
    });
  }

  /** A tensor that was loaded. */
  get(tensor: MappedTensor): Tensor {
    return this.loaded.get(keyOf(tensor))!;
  }

  dispose(): void {
    for (const tensor of this.loaded.values()) tensor.dispose();
    this.loaded.clear();
  }
}

const keyOf = ({ file, byteOffset, shape }: MappedTensor): string =>
  [file, byteOffset, ...shape].join();

async function readMapped(tensors: readonly MappedTensor[]): Promise<HostArray[]> {
  const tree = Object.fromEntries(tensors.map((tensor, i) => [String(i), tensor]));
  const copy = (inputs: Record<string, Tensor>) => ({ ...inputs });
  const reader = await openDevice('cpu').compile(copy, tree, { name: 'weights' });
  try {
    const values = (await reader.run({})) as Record<string, DeviceTensor>;
    const data = await Promise.all(tensors.map((_, i) => values[String(i)]!.read()));
    for (const value of Object.values(values)) value.dispose();
    return data;
  } finally {
    await reader.dispose();
  }
}

class EagerProgram implements CompiledProgram {
  outputs: Tree<TensorSpec> = {};
  readonly stats = { nodes: 0, traceMs: 0, sessionMs: 0, flops: 0, workingBytes: 0 };

  private readonly backend: string;
  private readonly program: Program;
  private readonly specs: SpecTree;
  private readonly options: CompileOptions;
  private readonly weights: EagerWeights;
  private isDisposed = false;

  constructor(
    backend: string,
    program: Program,
    specs: SpecTree,
    options: CompileOptions,
    weights: EagerWeights,
  ) {
    this.backend = backend;
    this.program = program;
    this.specs = specs;
    this.options = options;
    this.weights = weights;
  }

  async run(inputs: Tree<RunValue>, into: Tree<DeviceTensor> = {}): Promise<Tree<DeviceTensor>> {
    if (this.isDisposed) throw this.disposed();
    const targets = new Map(flatten<EagerTensor>(into as Tree<EagerTensor>, isEagerTensor));
    const given = new Map(flatten(inputs, isRunValue));
    this.assertState(given);
    await this.weights.load([...given.values()].filter(isMapped));
    return onBackend(this.backend, () => {
      const result = tf.tidy(() => {
        const tensors = mapTree(this.specs, isSpec, (spec, name) => this.input(name, spec, given));
        return keepAll(this.program(tensors as never));
      });
      return this.deliver(result, given, targets);
    });
  }

  private input(
    name: string,
    spec: TensorSpec | MappedTensor | WeightSpec,
    given: ReadonlyMap<string, RunValue>,
  ): Tensor {
    if (isMapped(spec)) return this.weights.get(spec);
    const value = given.get(name);
    if ('kind' in spec) return this.weight(name, spec, value);
    if (value instanceof EagerTensor) {
      if (value.shape.join() === spec.shape.join()) return value.value;
      throw mismatch(name, spec, `${value.dtype} (${value.shape.join(', ')})`);
    }
    if (value === undefined) throw mismatch(name, spec, 'nothing');
    return tf.tensor(hostArray(name, spec, value as HostArray), [...spec.shape], spec.dtype);
  }

  private weight(name: string, { shape }: WeightSpec, value: RunValue | undefined): Tensor {
    const isFitting =
      (value instanceof EagerTensor || isMapped(value)) && value.shape.join() === shape.join();
    if (!isFitting) throw mismatch(name, { shape, dtype: 'float32' }, 'another value');
    return isMapped(value) ? this.weights.get(value) : (value as EagerTensor).value;
  }

  /** State goes into the tensors that were given, the rest to the caller. */
  private deliver(
    result: Tree<Tensor>,
    given: ReadonlyMap<string, RunValue>,
    targets: ReadonlyMap<string, EagerTensor>,
  ): Tree<DeviceTensor> {
    const states = new Set(this.options.state ?? []);
    const returned: [string, DeviceTensor][] = [];
    for (const [name, tensor] of flatten<Tensor>(result, isTensor)) {
      const state = states.has(name.split('/')[0]!);
      const target = state ? (given.get(name) as EagerTensor) : targets.get(name);
      target?.replace(tensor);
      if (!state) returned.push([name, target ?? new EagerTensor(this.backend, tensor)]);
    }
    return nest(returned);
  }

  private assertState(given: ReadonlyMap<string, RunValue>): void {
    const states = new Set(this.options.state ?? []);
    for (const [name, value] of given) {
      if (!states.has(name.split('/')[0]!) || value instanceof EagerTensor) continue;
      throw new EngineError({
        code: 'INPUT_INVALID',
        message: `State "${name}" was given as host data, expected a device tensor.`,
        hint: 'Make it with createTensor(spec, data, device) and pass the same tensor to every run.',
      });
    }
  }

  private disposed(): EngineError {
    return new EngineError({
      code: 'DISPOSED',
      message: `${this.options.name ?? 'program'}: the program was run after it was disposed.`,
      hint: 'Dispose a program after its last run.',
    });
  }

  async save(): Promise<void> {
    throw new EngineError({
      code: 'PROGRAM_INVALID',
      message: 'A program of an eager device has no graph to save.',
      hint: 'Compile it for device "cpu" and save that.',
    });
  }

  async dispose(): Promise<void> {
    this.isDisposed = true;
    this.weights.dispose();
  }
}

const isRunValue = (node: unknown): node is RunValue =>
  typeof node === 'number' ||
  ArrayBuffer.isView(node) ||
  node instanceof EagerTensor ||
  isMapped(node);

const isEagerTensor = (node: unknown): node is EagerTensor => node instanceof EagerTensor;

/** Outputs that are inputs themselves are copied, so that either can be released alone. */
function keepAll(tree: Tree<Tensor>): Tree<Tensor> {
  return mapTree(tree, isTensor, (tensor) => tf.keep(tf.clone(tensor))) as Tree<Tensor>;
}
