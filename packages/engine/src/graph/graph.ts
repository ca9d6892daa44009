import {
  type ElementType as OnnxElementType,
  onnxCode,
  STORED_TYPE,
} from '../onnx/element-type.js';
import {
  type DType,
  type MappedTensor,
  type Precision,
  type StoredType,
  sizeOf,
  type WeightSpec,
} from '../specs.js';
import type { Alternative, KernelChoice } from './choice.js';
import { PreparedValues } from './prepared.js';

export { sizeOf };

/** Element types inside a graph: tfjs' three, plus those that only ONNX operators or stored values need. */
export type ElementType = Extract<
  OnnxElementType,
  DType | 'int64' | 'float16' | 'bfloat16' | 'uint8'
>;

export type ConstantData = Float32Array | Int32Array | Uint8Array | BigInt64Array;

/** One tensor of a graph. Shapes are static. */
export interface Value {
  name: string;
  readonly shape: readonly number[];
  readonly dtype: ElementType;
  /** Present for constants. */
  readonly constant?: ConstantData;
  /** Present for values whose elements are all known to equal this number. */
  uniform?: number;
  /** Present for weights in the type in which they are stored. */
  readonly weight?: Weight;
}

/** Where the value of a weight comes from. */
export interface Weight {
  /** Its path among the inputs of the program. */
  readonly path: string;
  /** A tensor in a file, or what is given at each run. */
  readonly spec: MappedTensor | WeightSpec;
  /** The part that is read, where it is not all of it: rows lie one after the other. */
  readonly rows?: Rows;
}

/** Rows of a tensor, counted along its first axis. */
export interface Rows {
  readonly first: number;
  readonly count: number;
}

/** Rows of a tensor in a file, as a tensor of their own. */
export function rowsOf(tensor: MappedTensor, rows: Rows | undefined): MappedTensor {
  if (rows === undefined) return tensor;
  const rowBytes = tensor.byteLength / tensor.shape[0]!;
  return {
    ...tensor,
    shape: [rows.count, ...tensor.shape.slice(1)],
    byteOffset: tensor.byteOffset + rows.first * rowBytes,
    byteLength: rows.count * rowBytes,
  };
}

export type Attribute = number | bigint | string | readonly number[] | { readonly float: number };

export interface Node {
  readonly operator: string;
  readonly domain: string;
  readonly inputs: readonly (Value | undefined)[];
  readonly outputs: readonly Value[];
  readonly attributes: Readonly<Record<string, Attribute>>;
  /** The operation (name of its kernel) that the node is a part of; absent where it is a part of none. */
  readonly operation?: string;
  /** Whether the program asked for float32 here, in whatever precision it is compiled. */
  readonly isExact?: true;
}

export interface NodeOptions {
  readonly domain?: string;
  readonly attributes?: Readonly<Record<string, Attribute>>;
}

export interface OutputType {
  readonly shape: readonly number[];
  readonly dtype: ElementType;
}

export const sameShape = (a: readonly number[], b: readonly number[]): boolean =>
  a.length === b.length && a.every((n, i) => n === b[i]);

export type WeightType = 'float32' | 'float16';

/** Writes an operator through others. */
export type Substitute = (graph: Graph, inputs: readonly Value[], options: NodeOptions) => Value;
/** By the names of operators. */
export type Substitutes = Readonly<Record<string, Substitute>>;

/** What a graph is written for. */
export interface GraphTarget {
  /** Whether to avoid operators that only ONNX Runtime's CPU provider has. */
  readonly withoutCpuOperators?: boolean;
  /** How operations are to be written on this processor; absent: plainly. */
  readonly choice?: KernelChoice | undefined;
  /** Type in which weights of 16 bits come to devices that lack theirs; absent: as they are stored. */
  readonly narrowWeightsAs?: WeightType | undefined;
  /** Bytes that a device takes as one tensor; larger weights are read in pieces where that is possible. */
  readonly largestWeightBytes?: number;
  /** What is written for operators that the device lacks. */
  readonly substitutes?: Substitutes;
  /** Of products and attention; `float32` where absent. */
  readonly precision?: Precision;
  /** Whether the device computes attention in one kernel that stores no scores, of the whole sequence too. */
  readonly fusesAttention?: boolean;
}

/** An ONNX graph under construction: nodes in topological order, constants, inputs and outputs. */
export class Graph {
  readonly nodes: Node[] = [];
  readonly inputs: Value[] = [];
  readonly outputs: { readonly name: string; readonly value: Value }[] = [];
  private readonly integers = new Map<string, Value>();
  private readonly floats = new Map<number, Value>();
  private readonly simplified = new Map<string, Value>();
  /** What the results of Reshape nodes are other shapes of. */
  private readonly reshaped = new Map<Value, Value>();
  private readonly producers = new Map<Value, Node>();
  private readonly prepared = new PreparedValues();
  private counter = 0;

  readonly withoutCpuOperators: boolean;
  readonly narrowWeightsAs: WeightType | undefined;
  readonly largestWeightBytes: number;
  private readonly substitutes: Substitutes;
  readonly choice: KernelChoice | undefined;
  readonly precision: Precision;
  readonly fusesAttention: boolean;
  /** Operations that a choice could have written in another way; collected where there is none. */
  readonly alternatives: Alternative[] = [];
  /** The operation whose nodes are being added. */
  private operation: string | undefined;
  /** How the graph is to use threads: together in each node, one alone, or each in pieces of its own. */
  threading: 'shared' | 'single' | 'in-pieces' = 'shared';
  /** Results of nodes that may run at the same time, each on a thread of its own, where the graph runs in pieces. */
  readonly dealt = new Set<Value>();
  private isExact = false;

  constructor(target: GraphTarget = {}) {
    this.withoutCpuOperators = target.withoutCpuOperators ?? false;
    this.choice = target.choice;
    this.narrowWeightsAs = target.narrowWeightsAs;
    this.largestWeightBytes = target.largestWeightBytes ?? Number.POSITIVE_INFINITY;
    this.substitutes = target.substitutes ?? {};
    this.precision = target.precision ?? 'float32';
    this.fusesAttention = target.fusesAttention ?? false;
  }

  /** Marks the nodes that `emit` adds as parts of an operation. */
  within<Result>(operation: string, emit: () => Result): Result {
    const outer = this.operation;
    this.operation = operation;
    try {
      return emit();
    } finally {
      this.operation = outer;
    }
  }

  /** Channels per block of ONNX Runtime's blocked layout on this machine; absent where it is not to be used. */
  get channelBlock(): number | undefined {
    return this.choice?.block;
  }

  /** Nodes that `emit` adds stay float32. */
  exactly<Result>(emit: () => Result): Result {
    const outer = this.isExact;
    this.isExact = true;
    try {
      return emit();
    } finally {
      this.isExact = outer;
    }
  }

  private fresh(prefix: string): string {
    this.counter += 1;
    return `${prefix}_${this.counter}`;
  }

  input(name: string, type: OutputType): Value {
    const value: Value = { name, shape: type.shape, dtype: type.dtype };
    this.inputs.push(value);
    return value;
  }

  /** A frozen weight: an input, cast to float32 when it is stored in a 16-bit type. */
  weight(path: string, spec: MappedTensor | WeightSpec, rows?: Rows): Value {
    const name = rows === undefined ? path : `${path}[${rows.first}:${rows.first + rows.count}]`;
    const known = this.simplified.get(name);
    if (known !== undefined) return known;
    const shape = rows === undefined ? spec.shape : [rows.count, ...spec.shape.slice(1)];
    const dtype = placedAs(spec, this.narrowWeightsAs);
    const weight = rows === undefined ? { path, spec } : { path, spec, rows };
    const stored: Value = { name, shape, dtype, weight };
    this.inputs.push(stored);
    const value = this.cast(stored, 'float32');
    this.simplified.set(name, value);
    return value;
  }

  /** A frozen weight in the type in which it is stored; undefined for any other value. */
  storedWeight(value: Value): Value | undefined {
    const cast = this.producers.get(value);
    const stored = cast?.operator === 'Cast' ? cast.inputs[0]! : value;
    return stored.weight === undefined ? undefined : stored;
  }

  /**
   * Some rows of a frozen weight, which lie together in memory: a weight of its own, nothing is copied.
   * @returns undefined for a value that is no weight, or of which the device has no views.
   */
  weightRows(value: Value, first: number, count: number): Value | undefined {
    const weight = this.storedWeight(value)?.weight;
    if (weight === undefined || (this.withoutCpuOperators && weight.spec.kind === 'weight'))
      return undefined;
    return this.weightPart(weight, first, count);
  }

  /** As {@link weightRows} on every device, for weights of which nothing else is read there. */
  weightPart({ path, spec, rows }: Weight, first: number, count: number): Value {
    return this.weight(path, spec, { first: first + (rows?.first ?? 0), count });
  }

  /** Whether a value depends on weights and constants alone. */
  isPrepared(value: Value): boolean {
    return this.prepared.has(value);
  }

  /** Marks an output. A value that a node makes takes the output's name; anything else is copied by an Identity. */
  output(name: string, value: Value): void {
    const made = this.producers.has(value);
    const taken = this.outputs.some((output) => output.value === value);
    const type = { shape: value.shape, dtype: value.dtype };
    const named = made && !taken ? value : this.addMany('Identity', [value], [type])[0]!;
    named.name = name;
    this.outputs.push({ name, value: named });
  }

  /** Adds a node with one output. Equal nodes without side effects are shared. */
  add(
    operator: string,
    inputs: readonly (Value | undefined)[],
    type: OutputType,
    options: NodeOptions = {},
  ): Value {
    const key = this.keyOf(operator, inputs, options);
    const known = this.simplified.get(key);
    if (known !== undefined) return known;
    const substitute = this.substitutes[operator];
    const value =
      substitute?.(this, inputs as readonly Value[], options) ??
      this.addMany(operator, inputs, [type], options)[0]!;
    this.simplified.set(key, value);
    return value;
  }

  addMany(
    operator: string,
    inputs: readonly (Value | undefined)[],
    types: readonly OutputType[],
    options: NodeOptions = {},
  ): Value[] {
    const outputs = types.map((type) => this.value(type.shape, type.dtype, operator));
    this.addNode({
      operator,
      domain: options.domain ?? '',
      inputs,
      outputs,
      attributes: options.attributes ?? {},
      ...(this.operation === undefined ? {} : { operation: this.operation }),
      ...(this.isExact ? { isExact: true } : {}),
    });
    return outputs;
  }

  /** A value that some node is to make. */
  value(shape: readonly number[], dtype: ElementType, prefix = 'value'): Value {
    return { name: this.fresh(prefix), shape: [...shape], dtype };
  }

  /** Adds a node that makes given values. */
  addNode(node: Node): void {
    this.nodes.push(node);
    this.prepared.add(node);
    for (const output of node.outputs) this.producers.set(output, node);
  }

  private keyOf(
    operator: string,
    inputs: readonly (Value | undefined)[],
    options: NodeOptions,
  ): string {
    const names = inputs.map((value) => value?.name ?? '').join(',');
    return `${options.domain ?? ''}:${operator}(${names})${options.attributes === undefined ? '' : asText(options.attributes)}`;
  }

  constant(data: ConstantData, shape: readonly number[], dtype: ElementType): Value {
    const uniform = uniformValue(data);
    const named = { name: this.fresh('const'), shape: [...shape], dtype, constant: data };
    return uniform === undefined ? named : { ...named, uniform };
  }

  /** Scalar or uniform constant; scalars are shared. */
  scalar(value: number): Value {
    const known = this.floats.get(value);
    if (known !== undefined) return known;
    const made = this.constant(Float32Array.of(value), [], 'float32');
    this.floats.set(value, made);
    return made;
  }

  /** int64 vector that shape operators take (shapes, axes, starts); shared. */
  int64(values: readonly number[]): Value {
    const key = values.join(',');
    const known = this.integers.get(key);
    if (known !== undefined) return known;
    const made = this.constant(BigInt64Array.from(values.map(BigInt)), [values.length], 'int64');
    this.integers.set(key, made);
    return made;
  }

  cast(value: Value, dtype: ElementType): Value {
    if (value.dtype === dtype) return value;
    const attributes = { to: onnxCode(dtype) };
    return this.add('Cast', [value], { shape: value.shape, dtype }, { attributes });
  }

  /** Makes a value of the graph the cast of another one. */
  castAs(result: Value, source: Value): void {
    const attributes = { to: onnxCode(result.dtype) };
    this.addNode({ operator: 'Cast', domain: '', inputs: [source], outputs: [result], attributes });
  }

  reshape(value: Value, shape: readonly number[]): Value {
    if (sameShape(value.shape, shape)) return value;
    if (value.constant !== undefined) {
      return { ...value, name: this.fresh('const'), shape: [...shape] };
    }
    // Of a chain of reshapes only the last counts.
    const source = this.unshaped(value);
    if (sameShape(source.shape, shape)) return source;
    const type = { shape, dtype: value.dtype };
    const result = this.add('Reshape', [source, this.int64(shape)], type);
    this.reshaped.set(result, source);
    return result;
  }

  /** The value of which this one is another shape; itself otherwise. */
  unshaped(value: Value): Value {
    return this.reshaped.get(value) ?? value;
  }

  /** The node that makes a value; undefined for inputs, constants and weights. */
  producerOf(value: Value): Node | undefined {
    return this.producers.get(value);
  }

  transpose(value: Value, permutation: readonly number[]): Value {
    if (permutation.every((axis, i) => axis === i)) return value;
    const shape = permutation.map((axis) => value.shape[axis]!);
    const moved = permutation.filter((axis) => value.shape[axis] !== 1);
    if (moved.every((axis, i) => i === 0 || moved[i - 1]! < axis))
      return this.reshape(value, shape);
    const attributes = { perm: [...permutation] };
    return this.add('Transpose', [value], { shape, dtype: value.dtype }, { attributes });
  }

  /** Repeats along broadcast axes; a no-op where the shape already fits. */
  expand(value: Value, shape: readonly number[]): Value {
    if (sameShape(value.shape, shape)) return value;
    return this.add('Expand', [value, this.int64(shape)], { shape, dtype: value.dtype });
  }
}

const asText = (attributes: NonNullable<NodeOptions['attributes']>): string =>
  JSON.stringify(attributes, (_, value) => (typeof value === 'bigint' ? value.toString() : value));

/** Inputs that some node reads. */
export function readInputs({ nodes, inputs }: Graph): ReadonlySet<Value> {
  const read = new Set(nodes.flatMap((node) => node.inputs));
  return new Set(inputs.filter((input) => read.has(input)));
}

/** Element type in which a program takes a weight. */
export const boundAs = (spec: MappedTensor | WeightSpec): StoredType =>
  (spec.kind === 'mapped' ? spec.readAs : undefined) ?? spec.storedAs;

/** Element type of a weight in the memory of a device. @param narrowAs of those in 16 bits, where it lacks their types. */
export function placedAs(
  spec: MappedTensor | WeightSpec,
  narrowAs: WeightType | undefined,
): (typeof STORED_TYPE)[StoredType] {
  const bound = STORED_TYPE[boundAs(spec)];
  return bound === 'float32' ? bound : (narrowAs ?? bound);
}

function uniformValue(data: ConstantData): number | undefined {
  if (data.length === 0 || data instanceof BigInt64Array) return undefined;
  const first = data[0]!;
  for (let i = 1; i < data.length; i += 1) if (data[i] !== first) return undefined;
  return first;
}
