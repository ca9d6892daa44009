import koffi from 'koffi';
import { EngineError } from '../errors.js';
import { api, type Pointer } from './api.js';
import { environment } from './environment.js';
import { gpuThread } from './gpu-thread.js';
import { Handle } from './handle.js';
import type { Lane } from './lane.js';
import { type ExecutionProvider, kindOf, memoryOf, type RunKind } from './provider.js';
import { runSlots } from './run-slots.js';
import { call, callAsync, check, create, type Failure, outCell } from './status.js';
import { DeviceValue, type ValueInfo } from './value.js';

/** Marks an output that ONNX Runtime allocates on the device of the session, anew at each run. */
const ON_DEVICE = Symbol('on device');

const isOnHost = (value: DeviceValue | typeof ON_DEVICE): boolean =>
  value !== ON_DEVICE && value.device === 'cpu';

/** Arrays that runs under way work in: a value that is disposed meanwhile lets go of its own. */
const pinned = new Set<object>();

/** What a binding needs of its session. */
export interface BoundSession {
  readonly name: string;
  readonly provider: ExecutionProvider;
  /** Runs queue here. */
  readonly lane: Lane;
  /** Whether its runs use the threads that all sessions share. */
  readonly sharesThreads: boolean;
  readonly inputs: readonly ValueInfo[];
  readonly outputs: readonly ValueInfo[];
  /** Address of the OrtSession. @throws EngineError DISPOSED. */
  readonly pointer: Pointer;
  find(side: 'input' | 'output', name: string): ValueInfo | undefined;
  /** OrtRunOptions of the next run, or null for the defaults. */
  nextRunOptions(kind: RunKind): Pointer | null;
}

/**
 * The inputs and outputs of a session's runs, bound once and used many times. Nothing is copied on the CPU: kernels read
 * and write the bound memory itself. On a GPU, arrays of the host are uploaded and downloaded at every run, values of the
 * device stay where they are.
 */
export class Binding {
  readonly #session: BoundSession;
  readonly #handle: Handle;
  readonly #onDispose: (binding: Binding) => void;
  readonly #inputs = new Map<string, DeviceValue>();
  readonly #outputs = new Map<string, DeviceValue | typeof ON_DEVICE>();
  /** Names whose native binding is behind the maps above. */
  readonly #staleInputs = new Set<string>();
  readonly #staleOutputs = new Set<string>();
  #results: DeviceValue[] | undefined;
  #pending = 0;

  /** Made by `Session.createBinding`. */
  constructor(session: BoundSession, onDispose: (binding: Binding) => void) {
    const failure = runFailure(session);
    const pointer = create(failure, (out) =>
      call('CreateIoBinding', failure, session.pointer, out),
    );
    this.#session = session;
    this.#onDispose = onDispose;
    this.#handle = new Handle(`a binding of session "${session.name}"`, pointer, (own) =>
      session.lane.whenIdle(() => api().ReleaseIoBinding(own)),
    );
  }

  /** @throws EngineError VALUE_INVALID for an unknown name, another type or shape; BUSY while a run is under way. */
  bindInput(name: string, value: DeviceValue): void {
    this.#assertIdle();
    if (this.#inputs.get(name) === value) return;
    assertFits(this.#session, 'input', name, value);
    this.#inputs.set(name, value);
    this.#staleInputs.add(name);
  }

  /** Results of runs are written into `value`. @throws as {@link bindInput}. */
  bindOutput(name: string, value: DeviceValue): void {
    this.#assertIdle();
    if (this.#outputs.get(name) === value) return;
    assertFits(this.#session, 'output', name, value);
    this.#outputs.set(name, value);
    this.#staleOutputs.add(name);
  }

  /** Each run allocates this output on the device of the session; {@link outputs} gives it. */
  bindOutputToDevice(name: string): void {
    this.#assertIdle();
    find(this.#session, 'output', name);
    this.#outputs.set(name, ON_DEVICE);
    this.#staleOutputs.add(name);
  }

  /** What is bound, in memory that stays what it is between runs. */
  get values(): {
    readonly inputs: readonly DeviceValue[];
    readonly outputs: readonly DeviceValue[];
  } {
    const outputs = [...this.#outputs.values()].filter((value) => value !== ON_DEVICE);
    return { inputs: [...this.#inputs.values()], outputs };
  }

  clearInputs(): void {
    this.#assertIdle();
    this.#inputs.clear();
    this.#staleInputs.clear();
    const { pointer } = this.#handle;
    this.#session.lane.whenIdle(() => api().ClearBoundInputs(pointer));
  }

  clearOutputs(): void {
    this.#assertIdle();
    this.#outputs.clear();
    this.#staleOutputs.clear();
    this.#results = undefined;
    const { pointer } = this.#handle;
    this.#session.lane.whenIdle(() => api().ClearBoundOutputs(pointer));
  }

  /**
   * Runs the session on a worker thread. Calls queue. On an NVIDIA GPU a run without results for the host ends when all of its
   * work stands in line there, behind that of earlier runs.
   * @param options `trimMemory` gives working memory that is free after the run back to the system; `graph` is the number of the CUDA graph
   *   that is recorded or replayed, −1 for none.
   * @throws EngineError RUN_FAILED with ONNX Runtime's message.
   */
  async run(
    options: { readonly trimMemory?: boolean; readonly graph?: number | undefined } = {},
  ): Promise<void> {
    const session = this.#session.pointer;
    const binding = this.#handle.pointer;
    const waits = [...this.#outputs.values()].some(isOnHost);
    const runOptions = this.#session.nextRunOptions({
      ...{ trims: options.trimMemory ?? false, waits, graph: options.graph },
    });
    this.#pending += 1;
    try {
      await this.#session.lane.run(() => this.#runNow(session, runOptions, binding));
    } finally {
      this.#pending -= 1;
    }
  }

  /**
   * The outputs of the last run in the order in which they were bound. Values given to {@link bindOutput} come back as
   * they are; those of {@link bindOutputToDevice} are new and belong to the caller.
   */
  outputs(): DeviceValue[] {
    this.#assertIdle();
    if (this.#results === undefined) {
      this.#results = this.#collect();
      this.#letGo();
    }
    return this.#results;
  }

  dispose(): void {
    if (this.#handle.disposed) return;
    this.#handle.dispose();
    this.#onDispose(this);
    // The memory of bound arrays must outlive runs that are in line.
    this.#session.lane.whenIdle(() => {
      this.#inputs.clear();
      this.#outputs.clear();
    });
  }

  async #runNow(session: Pointer, options: Pointer | null, binding: Pointer): Promise<void> {
    this.#apply(binding);
    const values = [...this.#inputs.values(), ...this.#outputs.values()];
    const arrays = values.map((value) => (value === ON_DEVICE ? undefined : value.host));
    pinned.add(arrays);
    try {
      const failure = runFailure(this.#session);
      const work = () => callAsync('RunWithBinding', failure, session, options, binding);
      if (kindOf(this.#session.provider) === 'cuda') {
        check(await gpuThread().run(session, options, binding), failure);
      } else await (this.#session.sharesThreads ? runSlots.run(work) : work());
    } finally {
      pinned.delete(arrays);
    }
  }

  /** Brings the native binding up to date. Native calls wait until here, where no other run is under way. */
  #apply(binding: Pointer): void {
    this.#assertComplete();
    this.#results = undefined;
    const failure = runFailure(this.#session);
    for (const [name, value] of this.#inputs) this.#applyInput(failure, binding, name, value);
    for (const [name, value] of this.#outputs) this.#applyOutput(failure, binding, name, value);
    this.#staleInputs.clear();
    this.#staleOutputs.clear();
  }

  #applyInput(failure: Failure, binding: Pointer, name: string, value: DeviceValue): void {
    value.assertUsable();
    // Binding host memory to a GPU session copies it at once, so the copy is renewed at every run.
    const uploaded = value.device === 'cpu' && this.#session.provider !== 'cpu';
    if (uploaded || this.#staleInputs.has(name)) {
      call('BindInput', failure, binding, name, value.pointer);
    }
  }

  #applyOutput(
    failure: Failure,
    binding: Pointer,
    name: string,
    value: DeviceValue | typeof ON_DEVICE,
  ): void {
    if (value === ON_DEVICE) {
      // ONNX Runtime would write the next run into the values of the last one, which the caller may still hold.
      call('BindOutputToDevice', failure, binding, name, memoryOf(this.#session.provider));
      return;
    }
    value.assertUsable();
    if (this.#staleOutputs.has(name)) call('BindOutput', failure, binding, name, value.pointer);
  }

  /** A native binding keeps the outputs of its last run on a GPU, and copies of its inputs, until the next run. */
  #letGo(): void {
    if (this.#session.provider === 'cpu') return;
    const { pointer } = this.#handle;
    api().ClearBoundInputs(pointer);
    api().ClearBoundOutputs(pointer);
    for (const name of this.#inputs.keys()) this.#staleInputs.add(name);
    for (const name of this.#outputs.keys()) this.#staleOutputs.add(name);
  }

  #collect(): DeviceValue[] {
    const pointers = boundOutputs(this.#handle.pointer, runFailure(this.#session));
    const adopted: DeviceValue[] = [];
    try {
      return [...this.#outputs.values()].map((bound) => {
        const pointer = pointers.shift()!;
        if (bound !== ON_DEVICE) {
          api().ReleaseValue(pointer);
          return bound;
        }
        const value = DeviceValue.adopt(pointer);
        adopted.push(value);
        return value;
      });
    } catch (error) {
      for (const value of adopted) value.dispose();
      for (const pointer of pointers) api().ReleaseValue(pointer);
      throw error;
    }
  }

  /** ONNX Runtime would only notice a missing input inside the first kernel that reads it. */
  #assertComplete(): void {
    if (this.#inputs.size === this.#session.inputs.length) return;
    const missing = this.#session.inputs.filter(({ name }) => !this.#inputs.has(name));
    throw new EngineError({
      code: 'VALUE_INVALID',
      message: `running "${this.#session.name}": no value is bound to ${missing.map(({ name }) => name).join(', ')}`,
      hint: 'Bind every input before the run.',
    });
  }

  #assertIdle(): void {
    void this.#handle.pointer;
    if (this.#pending > 0) throw busy(this.#session);
  }
}

const runFailure = (session: BoundSession): Failure => ({
  code: 'RUN_FAILED',
  doing: `running "${session.name}" on ${session.provider}`,
  hint: 'The message is ONNX Runtime’s: check that every input is bound and that memory suffices.',
});

/** Owned OrtValues of the outputs of a binding, in the order of binding. */
function boundOutputs(binding: Pointer, failure: Failure): Pointer[] {
  const list = outCell();
  const count = outCell();
  const { allocator } = environment();
  call('GetBoundOutputValues', failure, binding, allocator, list, count);
  if (list[0] === 0n) return [];
  const pointers = koffi.decode(list[0]!, 'void *', Number(count[0])) as Pointer[];
  call('AllocatorFree', failure, allocator, list[0]!);
  return pointers;
}

function find(session: BoundSession, side: 'input' | 'output', name: string): ValueInfo {
  const info = session.find(side, name);
  if (info) return info;
  const known = side === 'input' ? session.inputs : session.outputs;
  throw new EngineError({
    code: 'VALUE_INVALID',
    message: `"${session.name}" has no ${side} "${name}": expected one of ${known.map((each) => each.name).join(', ')}`,
    hint: `Bind only ${side}s of the model.`,
  });
}

function assertFits(
  session: BoundSession,
  side: 'input' | 'output',
  name: string,
  value: DeviceValue,
): void {
  const info = find(session, side, name);
  const fits = info.dtype === value.dtype && sameShape(info.shape, value.shape);
  if (fits || (info.dtype === value.dtype && info.shape.length === 0)) return;
  throw new EngineError({
    code: 'VALUE_INVALID',
    message: `${side} "${name}" of "${session.name}": expected ${info.dtype} (${info.shape.join(', ')}), found ${value.dtype} (${value.shape.join(', ')})`,
    hint: 'Bind a value of the type and shape that the model declares.',
  });
}

const sameShape = (declared: readonly number[], given: readonly number[]): boolean =>
  declared.length === given.length && declared.every((size, i) => size === -1 || size === given[i]);

const busy = (session: BoundSession): EngineError =>
  new EngineError({
    code: 'BUSY',
    message: `session "${session.name}" has a run under way`,
    hint: 'Await the run first.',
  });
