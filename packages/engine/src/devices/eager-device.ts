import { EngineError } from '../errors.js';
import { sizeOf } from '../graph/graph.js';
import type { HostArray, MappedTensor, Program, SpecTree, TensorSpec, Tree } from '../specs.js';
import { type Tensor, tf } from '../tfjs.js';
import { flatten, isSpec, isTensor, isTensorSpec, mapTree, nest } from '../tree.js';
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

/** A tensor of a tfjs backend. */
class EagerTensor implements DeviceTensor {
  private readonly backend: string;
  value: Tensor;

  constructor(backend: string, value: Tensor) {
    this.backend = backend;
    this.value = value;
  }

  get shape(): readonly number[] {
    return this.value.shape;
  }

  get dtype(): TensorSpec['dtype'] {
    return this.value.dtype as TensorSpec['dtype'];
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
    this.value.dispose();
    this.value = value;
  }

  dispose(): void {
    this.value.dispose();
  }
}

const toTensor = (data: HostArray, spec: TensorSpec): Tensor =>
  tf.keep(tf.tensor(data.slice(), [...spec.shape], spec.dtype));

/** Runs a function with another tfjs backend selected. */
async function onBackend<Result>(name: string, body: () => Result): Promise<Result> {
  const previous = tf.getBackend();
  await tf.setBackend(name);
  try {
    return body();
  } finally {
    await tf.setBackend(previous || name);
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
    const previous = tf.getBackend();
    void tf.setBackend(this.backend);
    try {
      return new EagerTensor(this.backend, toTensor(array, spec));
    } finally {
      void tf.setBackend(previous || this.backend);
    }
  }

  async compile(
    program: Program,
    specs: SpecTree,
    options: CompileOptions,
  ): Promise<CompiledProgram> {
    const loaded = await loadMapped(specs);
    const kept = await onBackend(
      this.backend,
      () =>
        new Map(
          [...loaded].map(([name, { data, spec }]) => [
            name,
            toTensor(data, { shape: spec.shape, dtype: 'float32' }),
          ]),
        ),
    );
    const differentiated = withGradients(program, options.gradients);
    return new EagerProgram(this.backend, differentiated, specs, options, kept);
  }
}

/** Weights that stay in a file elsewhere are read once here; the CPU device casts them. */
async function loadMapped(
  specs: SpecTree,
): Promise<Map<string, { data: HostArray; spec: MappedTensor }>> {
  const mapped = flatten(specs, isSpec).flatMap(([name, spec]) =>
    'kind' in spec ? [[name, spec] as const] : [],
  );
  if (mapped.length === 0) return new Map();
  const tree = Object.fromEntries(mapped.map(([, spec], i) => [String(i), spec]));
  const copy = ((inputs: Record<string, Tensor>) => ({ ...inputs })) as unknown as Program;
  const reader = await openDevice('cpu').compile(copy, tree, { name: 'weights' });
  const values = (await reader.run({})) as Record<string, DeviceTensor>;
  const read = await Promise.all(
    mapped.map(async ([name, spec], i) => {
      const data = await values[String(i)]!.read();
      return [name, { data, spec }] as const;
    }),
  );
  await reader.dispose();
  return new Map(read);
}

class EagerProgram implements CompiledProgram {
  outputs: Tree<TensorSpec> = {};
  readonly stats = { nodes: 0, traceMs: 0, sessionMs: 0, flops: 0 };

  private readonly backend: string;
  private readonly program: Program;
  private readonly specs: SpecTree;
  private readonly options: CompileOptions;
  private readonly mapped: ReadonlyMap<string, Tensor>;

  constructor(
    backend: string,
    program: Program,
    specs: SpecTree,
    options: CompileOptions,
    mapped: ReadonlyMap<string, Tensor>,
  ) {
    this.backend = backend;
    this.program = program;
    this.specs = specs;
    this.options = options;
    this.mapped = mapped;
  }

  async run(inputs: Tree<RunValue>, into: Tree<DeviceTensor> = {}): Promise<Tree<DeviceTensor>> {
    const targets = new Map(flatten<EagerTensor>(into as Tree<EagerTensor>, isEagerTensor));
    const given = new Map(flatten(inputs, isRunValue));
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
    spec: TensorSpec | MappedTensor,
    given: ReadonlyMap<string, RunValue>,
  ): Tensor {
    if (!isTensorSpec(spec)) return this.mapped.get(name)!;
    const value = given.get(name);
    if (value instanceof EagerTensor) {
      if (value.shape.join() === spec.shape.join()) return value.value;
      throw mismatch(name, spec, `${value.dtype} (${value.shape.join(', ')})`);
    }
    if (value === undefined) throw mismatch(name, spec, 'nothing');
    return tf.tensor(hostArray(name, spec, value as HostArray), [...spec.shape], spec.dtype);
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

  async save(): Promise<void> {
    throw new EngineError({
      code: 'PROGRAM_INVALID',
      message: 'A program of an eager device has no graph to save.',
      hint: 'Compile it for device "cpu" and save that.',
    });
  }

  async dispose(): Promise<void> {
    for (const tensor of this.mapped.values()) tensor.dispose();
  }
}

const isRunValue = (node: unknown): node is RunValue =>
  typeof node === 'number' || ArrayBuffer.isView(node) || node instanceof EagerTensor;

const isEagerTensor = (node: unknown): node is EagerTensor => node instanceof EagerTensor;

/** Outputs that are inputs themselves are copied, so that either can be released alone. */
function keepAll(tree: Tree<Tensor>): Tree<Tensor> {
  return mapTree(tree, isTensor, (tensor) => tf.keep(tf.clone(tensor))) as Tree<Tensor>;
}
