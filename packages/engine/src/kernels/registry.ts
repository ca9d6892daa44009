import type { Graph, Value } from '../graph/graph.js';
import { tf } from '../tfjs.js';
import { TRACE_BACKEND, traceBackend } from '../trace/backend.js';

// biome-ignore lint/suspicious/noExplicitAny: attributes differ per kernel and are typed where they are read.
export type Attributes = any;

/** Emits the nodes of one tfjs kernel. Inputs come in the order of `inputNames`. */
export type Emit = (
  graph: Graph,
  inputs: readonly Value[],
  attributes: Attributes,
) => Value | Value[];

/**
 * Registers how a tfjs kernel is written as graph nodes.
 * @param name tfjs' kernel name.
 * @param inputNames names of its inputs in the order in which `emit` takes them; `*` for a list.
 */
export function defineKernel(name: string, inputNames: readonly string[] | '*', emit: Emit): void {
  tf.registerKernel({
    kernelName: name,
    backendName: TRACE_BACKEND,
    kernelFunc: ({ inputs, attrs }) => {
      const infos = inputsInOrder(inputs, inputNames);
      const values = infos.map((info) => traceBackend.lookup(info));
      const { graph } = traceBackend;
      const result = graph.within(name, () => emit(graph, values, attrs ?? {}));
      if (Array.isArray(result)) return result.map((value) => traceBackend.tensorInfo(value));
      return traceBackend.tensorInfo(result);
    },
  });
}

function inputsInOrder(
  inputs: tf.NamedTensorInfoMap,
  names: readonly string[] | '*',
): tf.TensorInfo[] {
  if (names === '*') return Object.values(inputs) as tf.TensorInfo[];
  return names.flatMap((name) => (inputs[name] === undefined ? [] : [inputs[name]]));
}
