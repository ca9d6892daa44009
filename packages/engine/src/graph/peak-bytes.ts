import { bytesPerElement } from '../onnx/element-type.js';
import { executionOrder } from './execution-order.js';
import { type Graph, type Node, sizeOf, type Value } from './graph.js';

export const bytesOf = ({ shape, dtype }: Pick<Value, 'shape' | 'dtype'>): number =>
  sizeOf(shape) * bytesPerElement(dtype);

/** The moment of a run at which most bytes of results are held. */
export interface Peak {
  readonly bytes: number;
  /** Nodes in the order in which they run. */
  readonly order: readonly Node[];
  /** Of the node that runs at that moment. */
  readonly index: number;
  /** Place of the last reader of each value. */
  readonly lastRead: ReadonlyMap<Value, number>;
}

/**
 * The peak of the results that are held at once where a result goes with its last reader, without constants, inputs and outputs. A run
 * allocates more: see `memoryPlan`.
 */
export function peakOf(graph: Graph): Peak {
  const order = executionOrder(graph);
  const lastRead = lastReaders(order);
  const outputs = new Set(graph.outputs.map(({ value }) => value));
  const made = new Set<Value>();
  let held = 0;
  let peak = { bytes: 0, index: 0 };
  order.forEach((node, index) => {
    for (const value of node.outputs) {
      if (outputs.has(value)) continue;
      made.add(value);
      held += bytesOf(value);
    }
    if (held > peak.bytes) peak = { bytes: held, index };
    const ended = [...node.inputs, ...node.outputs].filter(
      (value) => value !== undefined && made.has(value) && (lastRead.get(value) ?? index) <= index,
    );
    for (const value of new Set(ended)) {
      made.delete(value!);
      held -= bytesOf(value!);
    }
  });
  return { ...peak, order, lastRead };
}

function lastReaders(order: readonly Node[]): Map<Value, number> {
  const lastRead = new Map<Value, number>();
  order.forEach((node, index) => {
    for (const value of node.inputs) if (value !== undefined) lastRead.set(value, index);
  });
  return lastRead;
}
