import path from 'node:path';
import { EngineError } from '../errors.js';
import {
  allocateOnDevice,
  DeviceValue,
  type ExecutionProvider,
  kindOf,
  largestTensorBytes,
  makeRoomToStay,
  providerNamed,
  type SessionOptions,
  sessionPool,
} from '../executor/index.js';
import { PLAIN } from '../graph/choice.js';
import { matrixFlops } from '../graph/flops.js';
import { type Graph, type GraphTarget, readInputs, sizeOf } from '../graph/graph.js';
import { memoryPlan } from '../graph/memory-plan.js';
import { unrecordable } from '../graph/recordable.js';
import { saveMemory } from '../graph/save-memory.js';
import { stagesOf } from '../graph/stages.js';
import { WEBGPU_SUBSTITUTES } from '../kernels/webgpu-substitutes.js';
import { encodeModel } from '../onnx/encode.js';
import type {
  HostArray,
  MappedTensor,
  Precision,
  Program,
  SpecTree,
  TensorSpec,
} from '../specs.js';
import { type Traced, trace } from '../trace/trace.js';
import { flatten, isSpec } from '../tree.js';
import type {
  CompiledProgram,
  CompileOptions,
  CompileStats,
  Device,
  DeviceTensor,
} from './device.js';
import { ExecutorProgram, type ProgramParts, planOutputs } from './executor-program.js';
import { ExecutorTensor } from './executor-tensor.js';
import { withGradients } from './gradients.js';
import { hostArray, newHostArray } from './host.js';
import { kernelChoice, settledKernelChoice } from './kernel-choice/index.js';
import { assertPrecision } from './precision-support.js';
import { lendStages, type ProgramLease } from './staged-session.js';
import { piecesAtOnce, threadsOf } from './threads.js';

/** The kernels decide which transpositions belong into a product. */
const KEPT_TRANSPOSITIONS = ['GemmTransposeFusion'];
/** It would keep what is to be computed a second time. */
const MERGING = 'CommonSubexpressionElimination';
/**
 * Products that read across transposed batches run in another place of the order than the one that memory was planned for. On a GPU,
 * whose products take no transposed factors otherwise, they save more than that.
 */
const BATCH_TRANSPOSITIONS = 'MatmulTransposeFusion';

/** Transformers of graphs that programs leave out. */
export function leftOutFor(device: ExecutionProvider, recomputes: boolean): string[] {
  if (!recomputes) return KEPT_TRANSPOSITIONS;
  const planned = device === 'cpu' ? [BATCH_TRANSPOSITIONS] : [];
  return [...KEPT_TRANSPOSITIONS, MERGING, ...planned];
}

/** A device of ONNX Runtime: programs become graphs, executed by one of its providers. */
export class ExecutorBackedDevice implements Device {
  readonly name: ExecutionProvider;

  constructor(name: ExecutionProvider) {
    this.name = name;
  }

  createTensor(spec: TensorSpec, data?: HostArray): ExecutorTensor {
    const array =
      data === undefined
        ? newHostArray(spec.dtype, sizeOf(spec.shape))
        : hostArray('tensor', spec, data);
    const value = DeviceValue.fromHost(array, spec.dtype, spec.shape);
    return new ExecutorTensor(spec, value, { staysInMemory: data !== undefined });
  }

  async allocateTensor(spec: TensorSpec): Promise<ExecutorTensor> {
    if (this.name === 'cpu') return this.createTensor(spec);
    return new ExecutorTensor(spec, await allocateOnDevice(this.name, spec.dtype, spec.shape));
  }

  async placeTensors(tensors: readonly DeviceTensor[]): Promise<void> {
    if (this.name === 'cpu') return;
    for (const tensor of tensors) {
      if (!(tensor instanceof ExecutorTensor)) continue;
      // What the last one was brought with is in the way of the next one.
      await makeRoomToStay(this.name);
      await tensor.resident(this.name);
    }
  }

  async compile(
    program: Program,
    specs: SpecTree,
    options: CompileOptions,
  ): Promise<CompiledProgram> {
    const started = performance.now();
    const { precision = 'float32' } = options;
    await assertPrecision(this.name, precision);
    const full = withGradients(program, options.gradients);
    const target = targetOf(this.name, precision);
    const traced = await this.asChosen(full, specs, target);
    const planned = options.recomputeCheap === true ? saveMemory : memoryPlan;
    const workingBytes = planned(traced.graph).bytes;
    const plans = planOutputs(traced, options, kindOf(this.name) !== 'webgpu');
    const traceMs = performance.now() - started;
    const lent = await this.lend(traced.graph, specs, options, workingBytes);
    const sessionMs = performance.now() - started - traceMs;
    const nodes = traced.graph.nodes.length;
    // Zeros that fill up blocks are no work asked for.
    const flops = () => matrixFlops(trace(full, specs, target).graph);
    return ExecutorProgram.create({
      ...{ traced, plans, ...lent },
      stats: withFlops({ nodes, traceMs, sessionMs, workingBytes }, flops),
      plain: () => trace(full, specs, portableTarget(this.name)).graph,
    });
  }

  /** A session of a graph, and what became of the options that depend on the device. */
  private async lend(
    graph: Graph,
    specs: SpecTree,
    options: CompileOptions,
    workingBytes: number,
  ): Promise<Pick<ProgramParts, 'lease' | 'options' | 'obstacle'>> {
    // On a GPU the copies of programs would add up, and there is no other layout to prepare.
    const prepareWeights = options.prepareWeights === true && this.name === 'cpu';
    const folder = prepareWeights ? externalFolder(mappedOf(specs)) : undefined;
    const asksReplays = options.replays === true && kindOf(this.name) === 'cuda';
    const obstacle = asksReplays ? unrecordable(graph) : undefined;
    const replays = asksReplays && obstacle === undefined;
    const settings = {
      name: options.name ?? 'program',
      workingBytes,
      ...(replays && { replays }),
      disabledOptimizers: leftOutFor(this.name, options.recomputeCheap === true),
    };
    const lease =
      graph.threading === 'in-pieces' && folder === undefined
        ? await lendStages(stagesOf(graph, piecesAtOnce()), settings)
        : await this.lendWhole(graph, settings, options, folder);
    return { lease, options: { ...options, prepareWeights, replays }, obstacle };
  }

  private lendWhole(
    graph: Graph,
    settings: Pick<SessionOptions, 'name' | 'workingBytes' | 'replays' | 'disabledOptimizers'>,
    options: CompileOptions,
    folder: string | undefined,
  ): Promise<ProgramLease> {
    // A GPU would bring an input that no node reads to the host at every run.
    const read = readInputs(graph);
    const model = encodeModel(graph, folder, (input) => read.has(input));
    return sessionPool.lend(model, {
      ...settings,
      provider: this.name,
      ...threadsOf(graph, { ...options, rests: options.rests === true && this.name === 'cpu' }),
      ...(folder === undefined ? {} : { externalDataFolder: folder }),
    });
  }

  /** The program with each operation written as this processor runs it fastest; traced once where that is known already. */
  private async asChosen(program: Program, specs: SpecTree, target: GraphTarget): Promise<Traced> {
    if (this.name !== 'cpu') return trace(program, specs, target);
    const known = settledKernelChoice();
    if (known !== undefined) return trace(program, specs, { ...target, choice: known });
    const plain = trace(program, specs, target);
    const { alternatives } = plain.graph;
    // What this processor runs fastest is looked for when it matters.
    if (alternatives.length === 0) return plain;
    const choice = await kernelChoice();
    const gains = alternatives.some(({ kind, size }) => (choice.of(kind, size) ?? PLAIN) !== PLAIN);
    return gains ? trace(program, specs, { ...target, choice }) : plain;
  }
}

/** Statistics whose count of operations costs a trace: it is made when it is asked for. */
function withFlops(stats: Omit<CompileStats, 'flops'>, count: () => number): CompileStats {
  let flops: number | undefined;
  return {
    ...stats,
    get flops() {
      flops ??= count();
      return flops;
    },
  };
}

/** What graphs are written for that leave a device for other machines. */
const portableTarget = (device: ExecutionProvider): GraphTarget => ({
  withoutCpuOperators: device !== 'cpu',
  fusesAttention: kindOf(device) === 'cuda',
});

/** What graphs of a device are written for. */
export const targetOf = (device: ExecutionProvider, precision: Precision): GraphTarget => ({
  ...portableTarget(device),
  precision,
  ...(device === 'webgpu' && {
    // Nothing there has bfloat16, and whether there is float16 is known for a program that computes in it.
    narrowWeightsAs: precision === 'float16' ? 'float16' : 'float32',
    largestWeightBytes: largestTensorBytes(),
    substitutes: WEBGPU_SUBSTITUTES,
  }),
});

/** The same for a device by its name; graphs of one that runs eagerly are written for nothing in particular. */
export const targetNamed = (device = 'cpu', precision: Precision = 'float32'): GraphTarget =>
  targetOf(providerNamed(device) ?? 'cpu', precision);

const mappedOf = (specs: SpecTree): MappedTensor[] =>
  flatten(specs, isSpec).flatMap(([, spec]) =>
    'kind' in spec && spec.kind === 'mapped' ? [spec] : [],
  );

/** The one folder below which all mapped files lie. */
function externalFolder(mapped: readonly MappedTensor[]): string | undefined {
  if (mapped.length === 0) return undefined;
  const folders = [...new Set(mapped.map((tensor) => path.dirname(tensor.file)))];
  if (folders.length === 1) return folders[0];
  throw new EngineError({
    code: 'PROGRAM_INVALID',
    message: `Mapped weights lie in ${folders.length} folders (${folders.slice(0, 3).join(', ')}): expected one.`,
    hint: 'Copy the shards of a checkpoint into one folder.',
  });
}
