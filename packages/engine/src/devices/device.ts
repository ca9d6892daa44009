import { EngineError } from '../errors.js';
import type {
  HostArray,
  MappedTensor,
  Precision,
  Program,
  SpecTree,
  TensorSpec,
  TensorsOf,
  Tree,
} from '../specs.js';
import type { Tensor } from '../tfjs.js';

/** A tensor that lives on a device and outlives the runs that read or write it. */
export interface DeviceTensor {
  readonly shape: readonly number[];
  readonly dtype: TensorSpec['dtype'];
  /**
   * The values. On the CPU this is the tensor's own memory, without a copy: the next run that writes the tensor changes
   * it.
   */
  read(): Promise<HostArray>;
  /** @throws EngineError INPUT_INVALID when the length does not fit the shape. */
  write(data: HostArray): Promise<void>;
  dispose(): void;
}

/** What an input takes; a `WeightSpec` takes a tensor in a file, or a float32 tensor of the device. */
export type RunValue = DeviceTensor | HostArray | number | MappedTensor;

/** Where programs run, and how they compute. */
export interface ProgramTarget {
  /** A registered device. */
  readonly device: string;
  /**
   * Of products and attention, `float32` by default. The CPU rounds to 16 bits what a GPU computes in them.
   * @see PRODUCTS for what stays float32.
   */
  readonly precision?: Precision | undefined;
  /**
   * Has an NVIDIA GPU record the runs of the program as CUDA graphs, one for each set of tensors that they are given, and replay
   * them: the host starts one graph instead of every kernel. Its working memory is then its own and kept. Results that no tensor is given
   * for are copied. Without effect on other devices, and for a program that reads from the host at each run.
   */
  readonly replays?: boolean | undefined;
}

/** On `cpu` by default. */
export interface CompileOptions extends Partial<ProgramTarget> {
  /** Top-level inputs by whose leaves the scalar output `loss` is differentiated; adds the output `gradients`. */
  readonly gradients?: readonly string[];
  /**
   * Top-level names that are both input and output: the new values are written into the device tensors that were given
   * as inputs, without passing through JavaScript.
   */
  readonly state?: readonly string[];
  /**
   * Whether the program has threads of its own that sleep as soon as a run has ended (CPU). Those that programs share look for
   * work for some ten milliseconds more, and take a core from what runs then on other threads, such as a {@link FusedUpdate}.
   */
  readonly rests?: boolean;
  /** Name for messages and profiles. */
  readonly name?: string;
  /**
   * Lets the executor bring mapped weights into the layouts of its kernels once, when it prepares the program: faster
   * runs, for a copy of these weights that belongs to this program alone. Worth it for convolutions.
   */
  readonly prepareWeights?: boolean;
  /**
   * Runs on the thread that calls alone, on the CPU: for small programs of which several run at once, where threads that share each
   * small operation would mostly wait for each other.
   */
  readonly singleThread?: boolean;
  /**
   * Has results that a backward pass reads, and that are cheap to compute, computed again instead of kept, and memory that waits
   * for a result of equal shape freed: less memory for some per cent of time.
   */
  readonly recomputeCheap?: boolean;
}

export interface RunOptions {
  /**
   * Gives back what only runs need: free working memory, and the pages of the mapped weights of this program (Linux), which
   * stay in the system's cache. A network that runs as several programs, one after the other, then needs the memory of the largest one.
   */
  readonly release?: boolean;
}

/** None where the type does not say which. */
type NamesIn<Names> = Names extends readonly (infer Name)[]
  ? string extends Name
    ? never
    : Name
  : never;

/** Tensors of a device in the places of those of a program. */
export type OnDevice<Tensors, Without = never> = Tensors extends Tensor
  ? DeviceTensor
  : { readonly [Name in keyof Tensors as Exclude<Name, Without>]: OnDevice<Tensors[Name]> };

/** What runs of a program give: its outputs that are not state, and gradients where they were asked for. */
export type ResultsOf<Specs, Outputs, Options extends CompileOptions> =
  Tree<Tensor> extends Outputs
    ? Tree<DeviceTensor>
    : OnDevice<Outputs, NamesIn<Options['state']>> &
        (Options extends { readonly gradients: infer Names }
          ? { readonly gradients: OnDevice<TensorsOf<Pick<Specs, NamesIn<Names> & keyof Specs>>> }
          : unknown);

export interface CompiledProgram<Results = Tree<DeviceTensor>> {
  readonly outputs: Tree<TensorSpec>;
  /**
   * Runs off the event loop. Calls queue.
   * @param into tensors that take outputs of the same names, instead of new ones.
   * @returns the outputs that are not state; they belong to the caller.
   * @throws EngineError INPUT_INVALID for a missing, unknown or misshapen input.
   */
  run(inputs: Tree<RunValue>, into?: Tree<DeviceTensor>, options?: RunOptions): Promise<Results>;
  /** Writes the graph as an ONNX file. Frozen weights stay where they are and are referred to by relative path. */
  save(path: string): Promise<void>;
  dispose(): Promise<void>;
  readonly stats: CompileStats;
  /** Of a program that was asked to replay its runs on an NVIDIA GPU. */
  readonly replays?: ReplayCounts | undefined;
}

/** How often a program that replays did so. */
export interface ReplayCounts {
  /** CUDA graphs that were made. */
  readonly recorded: number;
  readonly replayed: number;
  /** Runs node by node. */
  readonly plain: number;
  /** What keeps the program from being recorded. */
  readonly unrecordable?: string;
}

export interface CompileStats {
  /** Nodes of the traced graph. */
  readonly nodes: number;
  readonly traceMs: number;
  /** Optimisation and preparation by the executor. */
  readonly sessionMs: number;
  /** Floating-point operations of the matrix products and convolutions of one run. */
  readonly flops: number;
  /** Bytes that a run allocates for results, planned for the graph; without inputs, outputs and constants. */
  readonly workingBytes: number;
}

export interface Device {
  readonly name: string;
  createTensor(spec: TensorSpec, data?: HostArray): DeviceTensor;
  /** Memory for a result of a run; without it a tensor of zeros serves. */
  allocateTensor?(spec: TensorSpec): Promise<DeviceTensor>;
  /** Moves tensors into memory of their own; without it they lie there from the start. */
  placeTensors?(tensors: readonly DeviceTensor[]): Promise<void>;
  compile(program: Program, specs: SpecTree, options: CompileOptions): Promise<CompiledProgram>;
}

/** Opens the device of a number; a machine may have several of a kind. */
type DeviceFactory = (index: number) => Device;

const factories = new Map<string, DeviceFactory>();
const opened = new Map<string, Device>();

/**
 * Makes a device known by name. The factory runs when the device is first used and may throw DEVICE_UNAVAILABLE; one that takes
 * a number also serves `name:1` and so on.
 */
export function registerDevice(name: string, open: DeviceFactory): void {
  factories.set(name, open);
  for (const known of opened.keys()) if (splitName(known).kind === name) opened.delete(known);
}

/** `cuda:1` is the device of kind `cuda` and number 1; without a number it is the first one. */
function splitName(name: string): { readonly kind: string; readonly index: number } {
  const [, kind = name, index = '0'] = /^(.+):(\d{1,3})$/.exec(name) ?? [];
  return { kind, index: Number(index) };
}

/** Of most kinds there is one device. */
const fits = (open: DeviceFactory, index: number): boolean => index === 0 || open.length > 0;

export const deviceNames = (): string[] => [...factories.keys()];

/** @throws EngineError DEVICE_UNAVAILABLE for an unknown name or a device that cannot start here. */
export function openDevice(name: string): Device {
  const { kind, index } = splitName(name);
  const key = index === 0 ? kind : `${kind}:${index}`;
  const known = opened.get(key);
  if (known !== undefined) return known;
  const factory = factories.get(kind);
  if (factory === undefined || !fits(factory, index)) {
    throw new EngineError({
      code: 'DEVICE_UNAVAILABLE',
      message: `Unknown device "${name}": expected one of ${deviceNames().join(', ')}, or cuda:1 and so on for further GPUs.`,
      hint: 'Run `spatialsv doctor` to see which devices work on this machine.',
    });
  }
  const device = factory(index);
  opened.set(key, device);
  return device;
}
