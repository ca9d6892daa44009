import { setImmediate as otherWork } from 'node:timers/promises';
import { EngineError } from '../errors.js';
import { compileKernel, type UpdateKernel } from './kernel.js';
import { type Piece, type PieceWorker, startKernel, type UpdatedArray } from './pieces.js';
import {
  type ElementwiseProgram,
  type FusedUpdateOptions,
  planUpdate,
  UPDATE_BLOCK,
} from './plan.js';
import {
  forgetPieces,
  memoryOf,
  type SharedPass,
  type SharedPieces,
  updateThreads,
} from './threads.js';

/** Elements that a thread takes at a time: it is worth asking for them, and few enough that all threads end together. */
const PIECE = 2 ** 17;
/** Elements in reach of one view of memory. */
const WINDOW = 2 ** 28;
/** Up to here other threads take longer to wake than they save. */
const ALONE = 2 ** 18;
/** Milliseconds after which other work of this thread has its turn. */
const TURN_MS = 4;

/**
 * Updates long arrays elementwise and in place. An optimiser step is a dozen operations on each element; one operation at a time over
 * whole arrays, each of them goes through memory. Here the program becomes one loop, compiled to WebAssembly: every element is read
 * once and written once, on all threads. CPU only.
 */
export class FusedUpdate {
  readonly #options: FusedUpdateOptions;
  readonly #kernel: UpdateKernel;
  readonly #worker: PieceWorker;

  /**
   * @throws EngineError PROGRAM_INVALID for a program that is not elementwise within blocks of {@link UPDATE_BLOCK};
   *   RUN_FAILED without WebAssembly, or where addresses are too few.
   */
  constructor(program: ElementwiseProgram, options: FusedUpdateOptions) {
    this.#options = options;
    this.#kernel = compileKernel(planUpdate(program, options), options);
    this.#worker = started(this.#kernel);
  }

  /**
   * Prepares the update of certain arrays, which may then run any number of times, one after the other.
   * @param arrays of one length, a multiple of {@link UPDATE_BLOCK}; those with a number per block that much shorter.
   * @throws EngineError INPUT_INVALID for another type or length.
   */
  bind(arrays: Readonly<Record<string, UpdatedArray>>): BoundUpdate {
    const { arrays: names, scalars } = this.#options;
    const given = names.map((name, i) => {
      assertType(name, arrays[name], this.#kernel.layout.arrays[i]!.type);
      return arrays[name]!;
    });
    const length = this.#commonLength(given);
    return new BoundUpdate(this.#kernel, this.#worker, { scalars, arrays: given, length });
  }

  #commonLength(arrays: readonly UpdatedArray[]): number {
    const lengths = arrays.map(
      ({ length }, i) => length * this.#kernel.layout.arrays[i]!.elementsPer,
    );
    const [length] = lengths as [number];
    if (lengths.every((each) => each === length && each % UPDATE_BLOCK === 0)) return length;
    throw new EngineError({
      code: 'INPUT_INVALID',
      message: `Fused update: expected arrays of one length, a multiple of ${UPDATE_BLOCK}; found ${lengths.join(', ')}.`,
      hint: 'Pad the arrays with zeros.',
    });
  }
}

interface Bound {
  readonly scalars: readonly string[];
  /** In the order of the options, each of `length` elements or one per block of them. */
  readonly arrays: readonly UpdatedArray[];
  readonly length: number;
}

let count = 0;

/** The update of certain arrays. */
export class BoundUpdate {
  readonly #worker: PieceWorker;
  readonly #bound: Bound;
  readonly #pieces: readonly Piece[];
  readonly #shared: SharedPieces;
  #isDisposed = false;

  /** @internal */
  constructor(kernel: UpdateKernel, worker: PieceWorker, bound: Bound) {
    this.#worker = worker;
    this.#bound = bound;
    const windows = windowsOf(kernel, bound);
    const pieces = windows.flatMap((arrays, window) => piecesOf(arrays[0]!, window, kernel));
    this.#pieces = pieces.map(({ window, from, to }) => ({ arrays: windows[window]!, from, to }));
    count += 1;
    this.#shared = {
      id: count,
      kernel,
      windows: windows.map((parts) => parts.map(memoryOf)),
      pieces,
    };
  }

  /**
   * Applies the program to every element, in place.
   * @throws EngineError INPUT_INVALID for a scalar that is missing or an array that was sent to another thread, before anything is
   *   changed; DISPOSED; RUN_FAILED when a thread fails, which leaves some elements updated and others not.
   */
  async run(scalars: Readonly<Record<string, number>>): Promise<void> {
    this.#assertUsable();
    const pass: SharedPass = {
      next: new Int32Array(new SharedArrayBuffer(Int32Array.BYTES_PER_ELEMENT)),
      scalars: Float32Array.from(this.#bound.scalars, (name) => given(name, scalars)),
    };
    const others = this.#bound.length > ALONE ? updateThreads() : [];
    const passes = [...others.map((thread) => thread.pass(this.#shared, pass)), this.#work(pass)];
    // After a failure of one thread the arrays still change until the others have ended.
    const ended = await Promise.allSettled(passes);
    for (const each of ended) if (each.status === 'rejected') throw each.reason;
  }

  /** The share of this thread. */
  async #work({ next, scalars }: SharedPass): Promise<void> {
    let since = performance.now();
    const take = () => this.#pieces[Atomics.add(next, 0, 1)];
    for (let piece = take(); piece !== undefined; piece = take()) {
      this.#worker.apply(piece, scalars);
      if (performance.now() - since < TURN_MS) continue;
      await otherWork();
      since = performance.now();
    }
  }

  #assertUsable(): void {
    const isDetached = this.#bound.arrays.some(({ byteLength }) => byteLength === 0);
    if (!this.#isDisposed && !(isDetached && this.#bound.length > 0)) return;
    throw new EngineError({
      code: this.#isDisposed ? 'DISPOSED' : 'INPUT_INVALID',
      message: this.#isDisposed
        ? 'Fused update: used after it was disposed.'
        : 'Fused update: an array was detached: it was sent to another thread.',
      hint: this.#isDisposed ? 'Bind the arrays again.' : 'Send a copy.',
    });
  }

  /** Lets go of the arrays. Not while it runs. */
  dispose(): void {
    if (this.#isDisposed) return;
    this.#isDisposed = true;
    forgetPieces(this.#shared.id);
  }
}

/**
 * The arrays in parts that a view of another thread can span.
 * @internal
 */
export function windowsOf(
  { layout }: Pick<UpdateKernel, 'layout'>,
  { arrays, length }: Pick<Bound, 'arrays' | 'length'>,
  window = WINDOW,
): UpdatedArray[][] {
  return Array.from({ length: Math.ceil(length / window) }, (_, i) =>
    arrays.map((array, k) => {
      const { elementsPer } = layout.arrays[k]!;
      return array.subarray((i * window) / elementsPer, ((i + 1) * window) / elementsPer);
    }),
  );
}

function piecesOf(first: UpdatedArray, window: number, { layout }: UpdateKernel) {
  const length = first.length * layout.arrays[0]!.elementsPer;
  return Array.from({ length: Math.ceil(length / PIECE) }, (_, i) => ({
    window,
    from: i * PIECE,
    to: Math.min((i + 1) * PIECE, length),
  }));
}

/** A kernel of this thread. */
function started({ module, layout }: UpdateKernel): PieceWorker {
  try {
    return startKernel(module, layout);
  } catch (error) {
    if (!(error instanceof RangeError)) throw error;
    throw new EngineError({
      code: 'RUN_FAILED',
      message: `Fused update: no addresses for the memory of its kernel: ${error.message}`,
      hint: 'Node reserves 10 GB of addresses for it: raise the limit (`ulimit -v`), or set NODE_OPTIONS=--disable-wasm-trap-handler.',
      cause: error,
    });
  }
}

function assertType(name: string, array: unknown, expected: 'float32' | 'uint8'): void {
  const kind = expected === 'uint8' ? Uint8Array : Float32Array;
  if (array instanceof kind) return;
  const found = (array as object | undefined)?.constructor.name ?? 'nothing';
  throw new EngineError({
    code: 'INPUT_INVALID',
    message: `Fused update: "${name}": expected a ${kind.name}, found ${found}.`,
    hint: 'Give every array that the program reads.',
  });
}

function given(name: string, scalars: Readonly<Record<string, number>>): number {
  if (typeof scalars[name] === 'number') return scalars[name];
  throw new EngineError({
    code: 'INPUT_INVALID',
    message: `Fused update: expected a number for the scalar "${name}", found ${typeof scalars[name]}.`,
    hint: 'Give every scalar that the program reads.',
  });
}
