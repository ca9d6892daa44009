import '../kernels/index.js';
import { EngineError } from '../errors.js';
import { fuseAddedProducts } from '../graph/fuse.js';
import { fuseActivations } from '../graph/fuse-activations.js';
import { Graph, type GraphTarget } from '../graph/graph.js';
import { applyPrecision } from '../graph/precision.js';
import { removeUnused } from '../graph/unused.js';
import type { MappedTensor, Program, SpecTree, TensorSpec, Tree, WeightSpec } from '../specs.js';
import { type Tensor, tf } from '../tfjs.js';
import { isSpec, isTensor, mapTree } from '../tree.js';
import { TRACE_BACKEND, traceBackend } from './backend.js';

export interface Traced {
  readonly graph: Graph;
  /** Inputs that are given at each run and whose graph value has the same name. */
  readonly inputs: ReadonlyMap<string, TensorSpec>;
  /** Weights that are given at each run. The graph has a value for each part of them that it reads. */
  readonly weights: ReadonlyMap<string, WeightSpec>;
  /** Specs of the outputs, nested as the program returned them. */
  readonly outputs: Tree<TensorSpec>;
}

/** Name of a program's output in the graph; inputs keep their path. */
export const outputName = (path: string): string => `out:${path}`;

/** Runs a program once on symbolic tensors and records its graph. */
export function trace(program: Program, specs: SpecTree, target: GraphTarget = {}): Traced {
  const graph = new Graph(target);
  const inputs = new Map<string, TensorSpec>();
  const weights = new Map<string, WeightSpec>();
  const outputs = onTraceBackend(graph, () => {
    const symbols = mapTree(specs, isSpec, (spec, path) => {
      if ('dtype' in spec) inputs.set(path, spec);
      else if (spec.kind === 'weight') weights.set(path, spec);
      return symbol(graph, path, spec);
    });
    const result = program(symbols as never);
    return mapTree(result, isTensor, (tensor, path) => {
      graph.output(outputName(path), traceBackend.lookup(tensor));
      return { shape: [...tensor.shape], dtype: tensor.dtype as TensorSpec['dtype'] };
    });
  });
  removeUnused(graph);
  applyPrecision(graph);
  fuseAddedProducts(graph);
  fuseActivations(graph);
  removeUnused(graph);
  return { graph, inputs, weights, outputs };
}

function symbol(graph: Graph, path: string, spec: TensorSpec | MappedTensor | WeightSpec): Tensor {
  if ('dtype' in spec) {
    return toTensor(traceBackend.tensorInfo(graph.input(path, spec), spec.dtype));
  }
  return toTensor(traceBackend.tensorInfo(graph.weight(path, spec), 'float32'));
}

const toTensor = (info: tf.TensorInfo): Tensor => tf.engine().makeTensorFromTensorInfo(info);

/** Switches tfjs to the trace backend for the duration of a synchronous function. */
function onTraceBackend<Result>(graph: Graph, body: () => Result): Result {
  const previous = tf.getBackend();
  void tf.setBackend(TRACE_BACKEND); // Synchronous in effect: the factory is.
  traceBackend.begin(graph);
  tf.engine().startScope('trace');
  try {
    return body();
  } catch (error) {
    throw explain(error);
  } finally {
    tf.engine().endScope();
    traceBackend.end();
    void tf.setBackend(previous || 'cpu');
  }
}

const MISSING_KERNEL = /Kernel '(\w+)' not registered for backend/;
const MISSING_GRADIENT = /gradient function not found for (\w+)/;

function explain(error: unknown): unknown {
  const message = error instanceof Error ? error.message : String(error);
  const kernel = MISSING_KERNEL.exec(message)?.[1];
  if (kernel !== undefined) {
    return new EngineError({
      code: 'KERNEL_MISSING',
      message: `The program uses the tfjs kernel "${kernel}", which the engine cannot write as a graph.`,
      hint:
        `Add it with defineKernel('${kernel}', inputNames, (graph, inputs, attributes) => graph.add(…)) — see ` +
        'packages/engine/src/kernels for examples — or express the program with other operations.',
      cause: error,
    });
  }
  const gradient = MISSING_GRADIENT.exec(message)?.[1];
  if (gradient === undefined) return error;
  return new EngineError({
    code: 'KERNEL_MISSING',
    message: `The program is differentiated through the tfjs kernel "${gradient}", which has no gradient.`,
    hint: `Register one with tf.registerGradient({ kernelName: '${gradient}', … }) or avoid the operation.`,
    cause: error,
  });
}
