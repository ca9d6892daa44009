import { executionOrder, weightsFirst } from './execution-order.js';
import type { Graph, Node, Value } from './graph.js';
import { bytesOf } from './peak-bytes.js';

/** Operators whose result is their first input under another shape. */
const VIEWS = new Set(['Reshape', 'Identity', 'Squeeze', 'Unsqueeze', 'Flatten']);
/**
 * Operators that write over their first input where nothing else reads it, as ONNX Runtime's kernels of the CPU declare it; those that
 * only compute one element from another, such as Add and Exp, do not.
 */
const IN_PLACE = new Set([
  ...['Sigmoid', 'Tanh', 'Relu', 'Elu', 'LeakyRelu', 'Softplus', 'Clip', 'Cast'],
  ...['Softmax', 'LogSoftmax', 'ScatterElements'],
]);
const ALIGNMENT = 256;

/** A result that has memory of its own, or takes what an earlier one has left. */
export interface Take {
  readonly value: Value;
  /** Place of the node that makes it. */
  readonly index: number;
  /** Place of its last reader, and of the last one of what is written over it. */
  lastRead: number;
}

/** Memory that results take one after the other. ONNX Runtime holds it from the first one to the last. */
export interface Buffer {
  readonly bytes: number;
  readonly takes: Take[];
}

/** What ONNX Runtime allocates for the results of a graph: from the second run on, one block with all buffers. */
export interface MemoryPlan {
  readonly bytes: number;
  readonly buffers: readonly Buffer[];
  /** Nodes in the order in which they run, and the place among them at which the block has its full size. */
  readonly order: readonly Node[];
  readonly index: number;
}

/**
 * The plan that ONNX Runtime makes on a CPU, beside constants, inputs and outputs of the graph and what kernels take for themselves.
 * A result takes the memory that one of equal shape has left, however long ago that was, and until then it is held; only where there
 * is none it takes, of the gaps of the block, the smallest that is large enough.
 * Source: PlannerImpl and MemPatternPlanner of ONNX Runtime.
 */
export function memoryPlan(graph: Pick<Graph, 'nodes' | 'outputs'>): MemoryPlan {
  const order = executionOrder({ nodes: [...weightsFirst(graph.nodes)] });
  const buffers = new Assignment(graph, order).buffers;
  return { ...place(buffers, order.length), buffers, order };
}

/** Which results share a buffer. */
class Assignment {
  readonly buffers: Buffer[] = [];
  readonly #outputs: ReadonlySet<Value>;
  /** Readers that are still to come, of all results in a buffer together. */
  readonly #uses = new Map<Value, number>();
  readonly #held = new Map<Value, Held>();
  /** What nobody reads any more, by element size and shape; the last is the latest. */
  readonly #left = new Map<string, Held[]>();

  constructor(graph: Pick<Graph, 'outputs'>, order: readonly Node[]) {
    this.#outputs = new Set(graph.outputs.map(({ value }) => value));
    for (const { inputs } of order)
      for (const value of inputs)
        if (value !== undefined) this.#uses.set(value, (this.#uses.get(value) ?? 0) + 1);
    order.forEach((node, index) => {
      node.outputs.forEach((value, output) => {
        if (!this.#outputs.has(value)) this.#assign(node, value, index, output === 0);
      });
      this.#release(node, index);
    });
  }

  #assign(node: Node, value: Value, index: number, isFirst: boolean): void {
    const input = isFirst ? node.inputs[0] : undefined;
    const of = input && this.#held.get(input);
    const isView = VIEWS.has(node.operator);
    // A view of an input of the graph, or of a constant, takes nothing.
    if (isView && of === undefined) return;
    const over = isView || this.#isWrittenOver(node, value, of) ? of : undefined;
    const held = over ?? this.#takeLeft(value) ?? this.#open(value);
    // One more for the node itself, so that a result that nobody reads is left by it.
    held.uses += (this.#uses.get(value) ?? 0) + 1;
    if (over === undefined) held.buffer.takes.push({ value, index, lastRead: index });
    this.#held.set(value, held);
  }

  #isWrittenOver({ operator, inputs }: Node, value: Value, of: Held | undefined): boolean {
    if (of === undefined || !IN_PLACE.has(operator)) return false;
    return of.uses === 1 && kindOf(inputs[0]!) === kindOf(value);
  }

  #takeLeft(value: Value): Held | undefined {
    return value.shape.length === 0 ? undefined : this.#left.get(kindOf(value))?.pop();
  }

  #open(value: Value): Held {
    const bytes = ALIGNMENT * Math.ceil(bytesOf(value) / ALIGNMENT);
    const buffer: Buffer = { bytes, takes: [] };
    this.buffers.push(buffer);
    return { buffer, kind: kindOf(value), uses: 0 };
  }

  #release({ inputs, outputs }: Node, index: number): void {
    for (const value of [...inputs, ...outputs]) {
      const held = value && this.#held.get(value);
      if (held === undefined) continue;
      held.buffer.takes.at(-1)!.lastRead = index;
      held.uses -= 1;
      if (held.uses > 0) continue;
      const left = this.#left.get(held.kind);
      if (left === undefined) this.#left.set(held.kind, [held]);
      else left.push(held);
    }
  }
}

interface Held {
  readonly buffer: Buffer;
  /** Of the first result that took it. */
  readonly kind: string;
  uses: number;
}

const kindOf = (value: Value): string =>
  `${bytesOf({ shape: [], dtype: value.dtype })}:${value.shape.join(',')}`;

interface Placed {
  readonly start: number;
  readonly end: number;
  readonly buffer: Buffer;
}

/** Places buffers in one block in the order in which they are first taken. */
function place(buffers: readonly Buffer[], nodes: number) {
  const ending: Buffer[][] = Array.from({ length: nodes }, () => []);
  for (const buffer of buffers) ending[buffer.takes.at(-1)!.lastRead]!.push(buffer);
  let placed: Placed[] = [];
  let next = 0;
  let block = { bytes: 0, index: 0 };
  for (let index = 0; index < nodes; index += 1) {
    for (; next < buffers.length && buffers[next]!.takes[0]!.index === index; next += 1) {
      const end = insert(placed, buffers[next]!);
      if (end > block.bytes) block = { bytes: end, index };
    }
    const ended = new Set(ending[index]);
    if (ended.size > 0) placed = placed.filter(({ buffer }) => !ended.has(buffer));
  }
  return block;
}

/** Into the smallest gap that is large enough, else behind all others. @returns where it ends. */
function insert(placed: Placed[], buffer: Buffer): number {
  let best = { start: placed.at(-1)?.end ?? 0, at: placed.length, gap: Infinity };
  let start = 0;
  placed.forEach((other, at) => {
    const gap = other.start - start;
    if (gap >= buffer.bytes && gap < best.gap) best = { start, at, gap };
    start = other.end;
  });
  const end = best.start + buffer.bytes;
  placed.splice(best.at, 0, { start: best.start, end, buffer });
  return end;
}
