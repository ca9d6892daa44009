import koffi from 'koffi';
import { api, type Pointer } from './api.js';
import { Binding, type BoundSession } from './binding.js';
import { environment } from './environment.js';
import { Handle } from './handle.js';
import type { Lane } from './lane.js';
import {
  appendProvider,
  type ExecutionProvider,
  kindOf,
  laneOf,
  makesBesideRuns,
  type RunKind,
  runOptionsOf,
} from './provider.js';
import { recordingGate } from './recording-gate.js';
import { disposeAtExit, forgetAtExit } from './shutdown.js';
import { call, callAsync, create, type Failure, outCell } from './status.js';
import { describeInfo, type ValueInfo } from './value.js';

export type OptimizationLevel = 'disabled' | 'basic' | 'extended' | 'all';

const OPTIMIZATION: Record<OptimizationLevel, number> = {
  disabled: 0,
  basic: 1,
  extended: 2,
  all: 99,
};

export interface SessionOptions {
  readonly provider: ExecutionProvider;
  /** Name for messages. */
  readonly name?: string;
  /** Bytes that its runs need at once, as far as that is known. */
  readonly workingBytes?: number;
  /** Folder that external data of a model given as bytes is relative to. */
  readonly externalDataFolder?: string;
  /** Threads of a pool of its own; without it the session uses the pool that all sessions share. */
  readonly threads?: number;
  /** Whether the threads of its own pool stop spinning when a run ends (default false). */
  readonly restsBetweenRuns?: boolean;
  /** Whether the threads of its own pool spin before they sleep (default true). */
  readonly allowSpinning?: boolean;
  /**
   * Whether its runs on an NVIDIA GPU may be recorded as CUDA graphs and replayed. What they work in then belongs to this session for
   * its life, because a replay writes where the recorded run wrote.
   */
  readonly replays?: boolean;
  /** Graph optimisation (default `all`). */
  readonly optimization?: OptimizationLevel;
  /** Names of graph transformers to leave out, for example `ConstantFolding`. */
  readonly disabledOptimizers?: readonly string[];
  /** Writes the optimised graph to this file. */
  readonly optimizedModelPath?: string;
  /** Further session configuration entries of ONNX Runtime. */
  readonly extra?: Readonly<Record<string, string>>;
}

/** A model that is ready to run. Owns its native session and the bindings made from it. */
export class Session implements BoundSession {
  readonly provider: ExecutionProvider;
  readonly name: string;
  readonly inputs: readonly ValueInfo[];
  readonly outputs: readonly ValueInfo[];
  /** Whether its runs use the threads that all sessions share. */
  readonly sharesThreads: boolean;
  /** Runs of this session queue here; sessions of one GPU share it. */
  readonly lane: Lane;
  readonly #handle: Handle;
  readonly #bindings = new Set<Binding>();
  readonly #byName: Record<'input' | 'output', ReadonlyMap<string, ValueInfo>>;
  readonly #workingBytes: number;
  #runs = 0;

  private constructor(pointer: Pointer, options: SessionOptions, lane: Lane) {
    this.name = options.name ?? 'model';
    this.provider = options.provider;
    this.lane = lane;
    this.#workingBytes = options.workingBytes ?? 0;
    this.sharesThreads = options.threads === undefined;
    this.inputs = describe(pointer, INPUTS);
    this.outputs = describe(pointer, OUTPUTS);
    this.#byName = { input: indexByName(this.inputs), output: indexByName(this.outputs) };
    this.#handle = new Handle(`session "${this.name}"`, pointer, (own) =>
      lane.whenIdle(() => api().ReleaseSession(own)),
    );
    if (this.provider !== 'cpu') disposeAtExit(this);
  }

  /**
   * Reads and optimises a model on a worker thread.
   * @param model ONNX bytes, or the path of an .onnx file.
   * @throws EngineError MODEL_INVALID with ONNX Runtime's message, DEVICE_UNAVAILABLE when the provider cannot start.
   */
  static async create(model: Uint8Array | string, options: SessionOptions): Promise<Session> {
    const lane = laneOf(options.provider);
    const make = async () => {
      environment().arena.makeRoom(options.workingBytes ?? 0);
      const native = buildOptions(options);
      try {
        return Session.#adopt(await load(model, native, options), options, lane);
      } finally {
        api().ReleaseSessionOptions(native);
      }
    };
    if (!makesBesideRuns(options.provider)) return lane.run(make);
    return kindOf(options.provider) === 'cuda' ? recordingGate.make(make) : make();
  }

  static #adopt(pointer: Pointer, options: SessionOptions, lane: Lane): Session {
    try {
      return new Session(pointer, options, lane);
    } catch (error) {
      api().ReleaseSession(pointer);
      throw error;
    }
  }

  /** Address of the OrtSession. @throws EngineError DISPOSED. */
  get pointer(): Pointer {
    return this.#handle.pointer;
  }

  get disposed(): boolean {
    return this.#handle.disposed;
  }

  find(side: 'input' | 'output', name: string): ValueInfo | undefined {
    return this.#byName[side].get(name);
  }

  /** A reusable set of inputs and outputs. */
  createBinding(): Binding {
    const binding = new Binding(this, (ended) => this.#bindings.delete(ended));
    this.#bindings.add(binding);
    return binding;
  }

  /**
   * OrtRunOptions of the next run, or null for the defaults. The first run of a session allocates tensor by tensor; from
   * the second on, one block of the planned size is used. Trimming in between keeps both from staying in the arena. On an NVIDIA
   * GPU all runs allocate tensor by tensor, and find again what the first one has taken.
   */
  nextRunOptions({ trims, ...kind }: RunKind): Pointer | null {
    const isPlannedNext = this.#runs === 0 && kindOf(this.provider) !== 'cuda';
    // Each of them takes its memory in another way, and after the first one it may have gone back to the system.
    if (this.#runs < 2 && this.provider === 'cpu')
      environment().arena.prepare(this.pointer, this.#workingBytes);
    this.#runs += 1;
    return runOptionsOf(this.provider, { ...kind, trims: isPlannedNext || trims });
  }

  disposeBindings(): void {
    for (const binding of this.#bindings) binding.dispose();
  }

  /** Releases the session and its bindings; runs that were asked for before end first. */
  dispose(): void {
    this.disposeBindings();
    this.#handle.dispose();
    forgetAtExit(this);
  }
}

const indexByName = (infos: readonly ValueInfo[]): ReadonlyMap<string, ValueInfo> =>
  new Map(infos.map((info) => [info.name, info]));

const modelFailure = (name: string): Failure => ({
  code: 'MODEL_INVALID',
  doing: `opening model "${name}"`,
  hint: 'The message is ONNX Runtime’s; check the graph with onnx.checker and that its external data files exist.',
});

async function load(
  model: Uint8Array | string,
  native: Pointer,
  options: SessionOptions,
): Promise<Pointer> {
  const out = outCell();
  const env = environment().pointer;
  const failure = modelFailure(options.name ?? 'model');
  if (typeof model === 'string') {
    await callAsync('CreateSession', failure, env, model, native, out);
  } else {
    await callAsync('CreateSessionFromArray', failure, env, model, model.byteLength, native, out);
  }
  return out[0]!;
}

function buildOptions(options: SessionOptions): Pointer {
  const { logSeverity, threads } = environment();
  const failure = modelFailure(options.name ?? 'model');
  const native = create(failure, (out) => call('CreateSessionOptions', failure, out));
  try {
    call('SetSessionLogSeverityLevel', failure, native, logSeverity);
    call(
      'SetSessionGraphOptimizationLevel',
      failure,
      native,
      OPTIMIZATION[options.optimization ?? 'all'],
    );
    if (options.threads === undefined) call('DisablePerSessionThreads', failure, native);
    else call('SetIntraOpNumThreads', failure, native, options.threads || threads);
    if (options.optimizedModelPath) {
      call('SetOptimizedModelFilePath', failure, native, options.optimizedModelPath);
    }
    for (const [key, value] of Object.entries(configEntries(options))) {
      call('AddSessionConfigEntry', failure, native, key, value);
    }
    // With a plan of one block the second run would hold it beside what the first one allocated tensor by tensor.
    if (kindOf(options.provider) === 'cuda') call('DisableMemPattern', failure, native);
    appendProvider(native, options.provider, options.replays === true);
    return native;
  } catch (error) {
    api().ReleaseSessionOptions(native);
    throw error;
  }
}

function configEntries(options: SessionOptions): Record<string, string> {
  const entries: Record<string, string> = {
    'session.use_env_allocators': options.replays === true ? '0' : '1',
  };
  if (options.externalDataFolder !== undefined) {
    entries['session.model_external_initializers_file_folder_path'] = options.externalDataFolder;
  }
  if (options.disabledOptimizers?.length) {
    entries['optimization.disable_specified_optimizers'] = options.disabledOptimizers.join(';');
  }
  if (options.restsBetweenRuns === true) entries['session.force_spinning_stop'] = '1';
  if (options.allowSpinning === false) entries['session.intra_op.allow_spinning'] = '0';
  if (kindOf(options.provider) === 'cuda') {
    // Constants between the working memory of runs would keep whole regions of the arena from being given back.
    entries['session.use_device_allocator_for_initializers'] = '1';
  }
  if (options.provider !== 'cpu' && !environment().gpu.cpuFallback) {
    entries['session.disable_cpu_ep_fallback'] = '1';
  }
  return { ...entries, ...options.extra };
}

const INPUTS = {
  count: 'SessionGetInputCount',
  name: 'SessionGetInputName',
  type: 'SessionGetInputTypeInfo',
} as const;
const OUTPUTS = {
  count: 'SessionGetOutputCount',
  name: 'SessionGetOutputName',
  type: 'SessionGetOutputTypeInfo',
} as const;

function describe(session: Pointer, side: typeof INPUTS | typeof OUTPUTS): ValueInfo[] {
  const failure = modelFailure('model');
  const count = outCell();
  call(side.count, failure, session, count);
  const { allocator } = environment();
  return Array.from({ length: Number(count[0]) }, (_, index) => {
    const name = takeString((out) => call(side.name, failure, session, index, allocator, out));
    const type = create(failure, (out) => call(side.type, failure, session, index, out));
    try {
      const info = create(failure, (out) => call('CastTypeInfoToTensorInfo', failure, type, out));
      return { name, ...describeInfo(info) };
    } finally {
      api().ReleaseTypeInfo(type);
    }
  });
}

/** Copies a string that ONNX Runtime allocated and frees it. */
function takeString(invoke: (out: BigUint64Array) => void): string {
  const failure = modelFailure('model');
  const pointer = create(failure, invoke);
  const text = koffi.decode.string(pointer);
  call('AllocatorFree', failure, environment().allocator, pointer);
  return text;
}
