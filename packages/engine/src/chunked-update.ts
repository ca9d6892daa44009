import { allOrNone, Disposables } from './disposables.js';
import { EngineError } from './errors.js';
import { environment } from './executor/environment.js';
import { type Binding, DeviceValue, type SessionLease, sessionPool } from './executor/index.js';
import { readBytes, writeBytes } from './graph/byte-storage.js';
import { inPlaceRule } from './graph/in-place.js';
import { encodeModel } from './onnx/encode.js';
import { float32, type Program, type TensorSpec, type Tree } from './specs.js';
import type { Tensor } from './tfjs.js';
import { outputName, trace } from './trace/trace.js';

/** An elementwise program: parts of arrays and scalars in, those of the changed arrays out. All are float32 to it. */
export type ElementwiseProgram = (
  arrays: Readonly<Record<string, Tensor>>,
  scalars: Readonly<Record<string, Tensor>>,
) => Record<string, Tensor>;

export interface ChunkedUpdateOptions {
  /** Names of the arrays that the program reads. */
  readonly arrays: readonly string[];
  /** Names of the arrays that it returns; they are written in place. */
  readonly changed: readonly string[];
  readonly scalars: readonly string[];
  /** Names of arrays of bytes. */
  readonly bytes?: readonly string[];
  /**
   * How many elements of the others one element of an array stands for, where that is not one; the program then need not be
   * elementwise within so many.
   */
  readonly strides?: Readonly<Record<string, number>>;
}

/** Memory that an update reads and writes. */
export type UpdatedArray = Float32Array | Uint8Array;

/**
 * Elements of one array that are worked on at a time, so that the cost of starting an operation is spread over enough of them
 * and what lies between two operations stays in the cache. Half or a quarter of it takes as long, an eighth of it longer.
 */
const CHUNK = 65536;
/** Chunks in one graph, which bounds how often control returns to JavaScript. */
const CHUNKS_PER_RUN = 16;
const RUN = CHUNK * CHUNKS_PER_RUN;
/** Length that arrays of a chunked update must be a multiple of. */
export const CHUNKED_UPDATE_MULTIPLE = CHUNK;

/**
 * Updates long arrays elementwise, chunk by chunk. An optimiser step is a dozen operations on each element; done one
 * operation at a time over whole arrays, every one of them goes through main memory, done in chunks only the first read
 * and the last write do. CPU only.
 */
export class ChunkedUpdate {
  private readonly options: ChunkedUpdateOptions;
  /** One session for each thread that the machine has for us, on which it stays; for many chunks and for one. */
  private readonly long: readonly SessionLease[];
  private readonly short: readonly SessionLease[];
  private readonly scalars: ReadonlyMap<string, Float32Array>;
  private readonly bound = new Set<BoundUpdate>();

  private constructor(
    options: ChunkedUpdateOptions,
    sessions: { readonly long: readonly SessionLease[]; readonly short: readonly SessionLease[] },
  ) {
    this.options = options;
    this.long = sessions.long;
    this.short = sessions.short;
    this.scalars = new Map(options.scalars.map((name) => [name, new Float32Array(1)]));
  }

  /** @throws EngineError PROGRAM_INVALID when a changed array cannot be written in place. */
  static async create(
    program: ElementwiseProgram,
    options: ChunkedUpdateOptions,
  ): Promise<ChunkedUpdate> {
    const workers = environment().threads;
    const models = [CHUNKS_PER_RUN, 1].map((chunks) => chunkedModel(program, options, chunks));
    const sessions = await allOrNone(
      models.flatMap((model) => Array.from({ length: workers }, () => openWorker(model))),
    );
    const [long, short] = [sessions.slice(0, workers), sessions.slice(workers)];
    return new ChunkedUpdate(options, { long, short });
  }

  /**
   * Prepares the update of certain arrays, which may then run any number of times.
   * @param arrays of one length, a multiple of {@link CHUNKED_UPDATE_MULTIPLE}; those with a stride that much shorter.
   * @throws EngineError INPUT_INVALID for another length, DISPOSED.
   */
  bind(arrays: Readonly<Record<string, UpdatedArray>>): BoundUpdate {
    const length = this.commonLength(arrays);
    const owned = new Disposables();
    try {
      const turns = this.bindTurns(arrays, length, owned);
      const bound = new BoundUpdate(this.scalars, turns, () => {
        owned.dispose();
        this.bound.delete(bound);
      });
      this.bound.add(bound);
      return bound;
    } catch (error) {
      owned.dispose();
      throw error;
    }
  }

  /** What each worker runs, one after another. */
  private bindTurns(
    arrays: Readonly<Record<string, UpdatedArray>>,
    length: number,
    owned: Disposables,
  ): Binding[][] {
    const workers = this.long.length;
    const turns: Binding[][] = Array.from({ length: workers }, () => []);
    for (let start = 0, turn = 0; start < length; turn += 1) {
      const chunks = start + RUN <= length ? CHUNKS_PER_RUN : 1;
      const worker = turn % workers;
      const { session } = (chunks === 1 ? this.short : this.long)[worker]!;
      turns[worker]!.push(this.bindRun(session, arrays, { start, chunks }, owned));
      start += chunks * CHUNK;
    }
    return turns;
  }

  private commonLength(arrays: Readonly<Record<string, UpdatedArray>>): number {
    const lengths = this.options.arrays.map(
      (name) => (arrays[name]?.length ?? 0) * strideOf(this.options, name),
    );
    if (lengths.every((length) => length === lengths[0] && length % CHUNK === 0))
      return lengths[0]!;
    throw new EngineError({
      code: 'INPUT_INVALID',
      message: `Chunked update: expected arrays of one length, a multiple of ${CHUNK}; found ${lengths.join(', ')}.`,
      hint: 'Pad the arrays with zeros.',
    });
  }

  private bindRun(
    session: SessionLease['session'],
    arrays: Readonly<Record<string, UpdatedArray>>,
    { start, chunks }: { readonly start: number; readonly chunks: number },
    owned: Disposables,
  ): Binding {
    const binding = owned.add(session.createBinding());
    for (const [name, cell] of this.scalars) {
      const value = owned.add(DeviceValue.fromHost(cell, 'float32', []));
      binding.bindInput(`scalars/${name}`, value);
    }
    for (let chunk = 0; chunk < chunks; chunk += 1) {
      for (const name of this.options.arrays) {
        const size = CHUNK / strideOf(this.options, name);
        const from = (start / CHUNK + chunk) * size;
        const view = arrays[name]!.subarray(from, from + size);
        const type = isBytes(this.options, name) ? 'uint8' : 'float32';
        const value = owned.add(DeviceValue.fromHost(view, type, [size]));
        binding.bindInput(`${chunk}/${name}`, value);
        if (this.options.changed.includes(name)) {
          binding.bindOutput(outputName(`${chunk}/${name}`), value);
        }
      }
    }
    return binding;
  }

  dispose(): void {
    for (const bound of this.bound) bound.dispose();
    for (const session of [...this.long, ...this.short]) session.dispose();
  }
}

/** The update of certain arrays. Bounds of one {@link ChunkedUpdate} share its scalars: run them one after another. */
export class BoundUpdate {
  private readonly scalars: ReadonlyMap<string, Float32Array>;
  private readonly turns: readonly (readonly Binding[])[];
  readonly dispose: () => void;

  constructor(
    scalars: ReadonlyMap<string, Float32Array>,
    turns: readonly (readonly Binding[])[],
    dispose: () => void,
  ) {
    this.scalars = scalars;
    this.turns = turns;
    this.dispose = dispose;
  }

  /**
   * Applies the program to every element, in place.
   * @throws EngineError INPUT_INVALID for a scalar that is missing, before anything is changed; DISPOSED.
   */
  async run(scalars: Readonly<Record<string, number>>): Promise<void> {
    for (const name of this.scalars.keys()) assertGiven(name, scalars);
    for (const [name, cell] of this.scalars) cell[0] = scalars[name]!;
    // After a failure of one worker the arrays still change until the others have ended.
    const ended = await Promise.allSettled(this.turns.map(runInTurn));
    for (const each of ended) if (each.status === 'rejected') throw each.reason;
  }
}

const strideOf = ({ strides }: ChunkedUpdateOptions, name: string): number => strides?.[name] ?? 1;

const isBytes = ({ bytes }: ChunkedUpdateOptions, name: string): boolean =>
  bytes?.includes(name) ?? false;

function assertGiven(name: string, scalars: Readonly<Record<string, number>>): void {
  if (typeof scalars[name] === 'number') return;
  throw new EngineError({
    code: 'INPUT_INVALID',
    message: `Chunked update: expected a number for the scalar "${name}", found ${typeof scalars[name]}.`,
    hint: 'Give every scalar that the program reads.',
  });
}

const openWorker = (model: Uint8Array): Promise<SessionLease> =>
  sessionPool.lend(model, { provider: 'cpu', name: 'update', threads: 1 });

async function runInTurn(bindings: readonly Binding[]): Promise<void> {
  for (const binding of bindings) await binding.run();
}

type Inputs = Record<string, Record<string, Tensor>>;

function chunkedModel(
  program: ElementwiseProgram,
  options: ChunkedUpdateOptions,
  chunks: number,
): Uint8Array {
  const numbers = Array.from({ length: chunks }, (_, i) => String(i));
  const chunk = Object.fromEntries(
    options.arrays.map((name) => [name, float32(CHUNK / strideOf(options, name))]),
  );
  const scalars = Object.fromEntries(options.scalars.map((name) => [name, float32()]));
  const specs: Record<string, Tree<TensorSpec>> = { scalars };
  for (const number of numbers) specs[number] = chunk;
  const whole = (inputs: Inputs) =>
    Object.fromEntries(
      numbers.map((number) => [number, program(inputs[number]!, inputs['scalars']!)]),
    );
  const { graph } = trace(whole as unknown as Program, specs);
  for (const name of options.bytes ?? [])
    for (const number of numbers) {
      readBytes(graph, `${number}/${name}`);
      if (options.changed.includes(name)) writeBytes(graph, outputName(`${number}/${name}`));
    }
  const overwrites = inPlaceRule(graph);
  for (const name of options.changed) {
    if (overwrites(`0/${name}`, outputName(`0/${name}`))) continue;
    throw new EngineError({
      code: 'PROGRAM_INVALID',
      message: `Chunked update: "${name}" cannot be written in place.`,
      hint: 'Return it from an elementwise operation that comes after every other use of its old value.',
    });
  }
  return encodeModel(graph);
}
