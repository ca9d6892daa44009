import { targetNamed } from './devices/executor-device.js';
import {
  type CompiledProgram,
  type CompileOptions,
  type DeviceTensor,
  openDevice,
  type ResultsOf,
} from './devices/index.js';
import { memoryPlan } from './graph/memory-plan.js';
import { saveMemory } from './graph/save-memory.js';
import type { HostArray, Program, SpecTree, TensorSpec, TensorsOf, Tree } from './specs.js';
import { checkTfjs, type Tensor } from './tfjs.js';
import { trace } from './trace/trace.js';

/**
 * Turns a program into something that runs: traces it once on symbolic tensors, together with its gradients where
 * asked, and prepares the graph on a device.
 * @param program a function over a nested record of tensors. It must not read tensor values.
 * @param specs shapes of its inputs, or weights that stay in their file; nested like the program's parameter.
 * @returns the compiled program; results of its runs have the names that the program, its state and its gradients give them.
 * @throws EngineError KERNEL_MISSING, PROGRAM_INVALID, DEVICE_UNAVAILABLE, DUPLICATE_PACKAGE when a second tfjs was loaded;
 *   errors of the program pass through.
 */
export function compile<
  Specs extends SpecTree,
  Outputs extends Tree<Tensor>,
  const Options extends CompileOptions = Record<never, never>,
>(
  program: (inputs: TensorsOf<Specs>) => Outputs,
  specs: Specs,
  options?: Options,
): Promise<CompiledProgram<ResultsOf<Specs, Outputs, Options>>>;
/** The same for programs and specs whose types do not say their names. */
export function compile(
  program: Program,
  specs: SpecTree,
  options?: CompileOptions,
): Promise<CompiledProgram>;
export async function compile(
  program: Program,
  specs: SpecTree,
  options: CompileOptions = {},
): Promise<CompiledProgram> {
  checkTfjs();
  return openDevice(options.device ?? 'cpu').compile(program, specs, options);
}

/**
 * Bytes that a run of a program allocates at once on a device of ONNX Runtime, beside its inputs and outputs: planned for its
 * graph as that device and precision have it written, which is traced and not prepared. @throws as {@link compile} does.
 */
export function programPeakBytes(
  program: Program,
  specs: SpecTree,
  options: Pick<CompileOptions, 'recomputeCheap' | 'device' | 'precision'> = {},
): number {
  checkTfjs();
  const { graph } = trace(program, specs, targetNamed(options.device, options.precision));
  const planned = options.recomputeCheap === true ? saveMemory : memoryPlan;
  return planned(graph).bytes;
}

/**
 * A tensor that stays on a device between runs.
 * @param data initial values, zeros where absent. On the CPU the array itself becomes the tensor's memory.
 * @throws EngineError INPUT_INVALID when the data do not fit.
 */
export function createTensor(spec: TensorSpec, data?: HostArray, device = 'cpu'): DeviceTensor {
  return openDevice(device).createTensor(spec, data);
}

/**
 * Memory of a device for a result of runs, as a tensor whose values are not set. What is to lie there side by side is asked for before the
 * first run, which leaves its working memory in pieces.
 */
export async function allocateTensor(spec: TensorSpec, device = 'cpu'): Promise<DeviceTensor> {
  const opened = openDevice(device);
  return (await opened.allocateTensor?.(spec)) ?? opened.createTensor(spec);
}

/**
 * Brings tensors that stay for long into the memory of their device now, where they would go at their first use: there, between two
 * runs, each would lie in a piece of working memory and hold on to all of it.
 */
export async function placeTensors(tensors: Iterable<DeviceTensor>, device: string): Promise<void> {
  await openDevice(device).placeTensors?.([...tensors]);
}
