import type { ConstantData, Graph, Value } from '../graph/graph.js';
import { tf } from '../tfjs.js';

export const TRACE_BACKEND = 'spatialsv-trace';

type HostValues = tf.backend_util.TypedArray | number[] | boolean[] | string[] | Uint8Array[];

interface Entry {
  readonly host?: { values: HostValues; shape: readonly number[]; dtype: tf.DataType };
  value?: Value;
  references: number;
}

/**
 * A tfjs backend that computes nothing: every tensor stands for a value of the graph under construction. Data that a
 * program creates (`tf.tensor`, `tf.scalar`) become constants.
 */
class TraceBackend extends tf.KernelBackend {
  private entries = new Map<object, Entry>();
  private current: Graph | undefined;

  /** Starts a new graph; tensors of earlier traces are forgotten. */
  begin(graph: Graph): void {
    this.entries = new Map();
    this.current = graph;
  }

  end(): void {
    this.entries = new Map();
    this.current = undefined;
  }

  get graph(): Graph {
    if (this.current === undefined)
      throw new Error('The trace backend is used outside of a trace.');
    return this.current;
  }

  /** Wraps a graph value for tfjs. */
  tensorInfo(value: Value, dtype: tf.DataType = value.dtype as tf.DataType): tf.TensorInfo {
    const dataId = {};
    this.entries.set(dataId, { value, references: 1 });
    return { dataId, shape: [...value.shape], dtype };
  }

  /** The graph value of a tensor; host data turn into a constant on first use. */
  lookup(info: tf.TensorInfo): Value {
    const entry = this.entries.get(info.dataId);
    if (entry === undefined) throw new Error('A tensor of another trace was used in a program.');
    if (entry.value === undefined) {
      const { values, dtype } = entry.host!;
      entry.value = this.graph.constant(asConstant(values, dtype), info.shape, dtype as 'float32');
    }
    return entry.value;
  }

  override write(values: HostValues, shape: number[], dtype: tf.DataType): object {
    const dataId = {};
    this.entries.set(dataId, { host: { values, shape, dtype }, references: 1 });
    return dataId;
  }

  override move(
    dataId: object,
    values: HostValues,
    shape: number[],
    dtype: tf.DataType,
    references: number,
  ): void {
    this.entries.set(dataId, { host: { values, shape, dtype }, references });
  }

  override readSync(dataId: object): Float32Array {
    const host = this.entries.get(dataId)?.host;
    if (host !== undefined) return host.values as Float32Array;
    throw new Error(
      'A program read the value of a tensor while it was traced. Programs are traced once, so values are not known: ' +
        'return the tensor as an output and read it after the run.',
    );
  }

  override async read(dataId: object): Promise<Float32Array> {
    return this.readSync(dataId);
  }

  override incRef(dataId: object): void {
    const entry = this.entries.get(dataId);
    if (entry !== undefined) entry.references += 1;
  }

  decRef(dataId: object): void {
    const entry = this.entries.get(dataId);
    if (entry !== undefined) entry.references -= 1;
  }

  override refCount(dataId: object): number {
    return this.entries.get(dataId)?.references ?? 0;
  }

  override disposeData(): boolean {
    return true; // Values live as long as the graph; `begin` forgets them all at once.
  }

  override numDataIds(): number {
    return this.entries.size;
  }

  override floatPrecision(): 16 | 32 {
    return 32;
  }

  override epsilon(): number {
    return 1e-7;
  }

  override timerAvailable(): boolean {
    return false;
  }

  override dispose(): void {
    this.end();
  }
}

function asConstant(values: HostValues, dtype: tf.DataType): ConstantData {
  const numbers = values as ArrayLike<number>;
  if (dtype === 'int32') return Int32Array.from(numbers);
  if (dtype === 'bool') return Uint8Array.from(numbers);
  if (dtype === 'float32') return Float32Array.from(numbers);
  throw new Error(
    `Constants of type ${dtype} are not supported in programs; use float32, int32 or bool.`,
  );
}

export const traceBackend = new TraceBackend();
tf.registerBackend(TRACE_BACKEND, () => traceBackend, 0);
