import { createRequire } from 'node:module';
import { Worker } from 'node:worker_threads';
import koffi from 'koffi';
import { EngineError } from '../errors.js';
import { environment } from '../executor/environment.js';
import type { UpdateKernel } from './kernel.js';
import { type Piece, type PieceWorker, startKernel, type UpdatedArray } from './pieces.js';

/** Memory of this process that another thread is to see: it is neither copied nor shared as JavaScript knows it. */
export interface MemoryPart {
  readonly address: bigint;
  readonly bytes: number;
  readonly type: 'float32' | 'uint8';
}

export function memoryOf(array: UpdatedArray): MemoryPart {
  // V8 keeps arrays of up to 64 bytes inside its moving heap until their buffer is asked for.
  void array.buffer;
  const type = array instanceof Uint8Array ? 'uint8' : 'float32';
  return { address: koffi.address(array), bytes: array.byteLength, type };
}

/** Pieces of an update as another thread can be told of them. */
export interface SharedPieces {
  readonly id: number;
  readonly kernel: UpdateKernel;
  /** Arrays in the order of the options, in parts that a view can span. */
  readonly windows: readonly (readonly MemoryPart[])[];
  readonly pieces: readonly (Omit<Piece, 'arrays'> & { readonly window: number })[];
}

/** One pass over the pieces, which the threads take from each other: `next` is the number of the next one. */
export interface SharedPass {
  readonly next: Int32Array;
  readonly scalars: Float32Array;
}

type Asked =
  | { readonly kind: 'know'; readonly shared: SharedPieces }
  | { readonly kind: 'forget'; readonly id: number }
  | {
      readonly kind: 'pass';
      readonly id: number;
      readonly number: number;
      readonly pass: SharedPass;
    };

interface Answered {
  readonly number: number;
  readonly error?: string;
}

/** More threads than these wait for memory. */
const MOST_THREADS = 8;

const threads: UpdateThread[] = [];

/** The threads beside the one of JavaScript, started when they are first asked for. */
export function updateThreads(): readonly UpdateThread[] {
  const count = Math.min(environment().threads, MOST_THREADS) - 1;
  while (threads.length < count) threads.push(new UpdateThread());
  return threads.slice(0, count);
}

/** Lets every thread forget pieces whose memory may go. */
export function forgetPieces(id: number): void {
  for (const thread of threads) thread.forget(id);
}

/** A thread that works on pieces of arrays which lie in the memory of the process. */
export class UpdateThread {
  readonly #worker: Worker;
  readonly #known = new Set<number>();
  readonly #waiting = new Map<number, (error: EngineError | undefined) => void>();
  #asked = 0;

  constructor() {
    const path = createRequire(import.meta.url).resolve('koffi');
    const program = `(${threadMain.toString()})(require, ${startKernel.toString()})`;
    this.#worker = new Worker(program, { eval: true, workerData: path });
    this.#worker.on('message', ({ number, error }: Answered) =>
      this.#settle(number, error === undefined ? undefined : failed(error)),
    );
    this.#worker.on('error', (error) => this.#fail(failed(error.message)));
    this.#worker.on('exit', () => this.#fail(failed('it has ended')));
    // An idle thread does not keep the process alive.
    this.#worker.unref();
  }

  /** Works on pieces of a pass until none is left. @throws EngineError RUN_FAILED. */
  pass(shared: SharedPieces, pass: SharedPass): Promise<void> {
    if (!this.#known.has(shared.id)) this.#ask({ kind: 'know', shared });
    this.#known.add(shared.id);
    const number = this.#asked;
    this.#asked += 1;
    this.#worker.ref();
    return new Promise((resolve, reject) => {
      this.#waiting.set(number, (error) => (error === undefined ? resolve() : reject(error)));
      this.#ask({ kind: 'pass', id: shared.id, number, pass });
    });
  }

  forget(id: number): void {
    if (this.#known.delete(id)) this.#ask({ kind: 'forget', id });
  }

  /** Ends the thread, whatever it is at. */
  async end(): Promise<void> {
    await this.#worker.terminate();
  }

  #ask(asked: Asked): void {
    this.#worker.postMessage(asked);
  }

  #settle(number: number, error: EngineError | undefined): void {
    const settle = this.#waiting.get(number);
    this.#waiting.delete(number);
    if (this.#waiting.size === 0) this.#worker.unref();
    settle?.(error);
  }

  /** A thread that has failed is not asked again. */
  #fail(error: EngineError): void {
    const place = threads.indexOf(this);
    if (place >= 0) threads.splice(place, 1);
    for (const number of [...this.#waiting.keys()]) this.#settle(number, error);
  }
}

const failed = (message: string): EngineError =>
  new EngineError({
    code: 'RUN_FAILED',
    message: `a thread of the update failed: ${message}`,
    hint: 'Some elements are updated and others are not: go on from a checkpoint. One thread alone is SPATIALSV_THREADS=1.',
  });

/** Body of a thread. It is handed over as text, so it uses nothing from outside of itself. */
function threadMain(load: NodeJS.Require, start: typeof startKernel): void {
  const { parentPort, workerData } = load(
    'node:worker_threads',
  ) as typeof import('node:worker_threads');
  const koffi = load(workerData as string) as typeof import('koffi').default;
  interface Known {
    readonly worker: PieceWorker;
    readonly pieces: readonly Piece[];
  }
  const known = new Map<number, Known>();
  const view = ({ address, bytes, type }: MemoryPart) => {
    const memory = koffi.view(address, bytes);
    return type === 'uint8' ? new Uint8Array(memory) : new Float32Array(memory);
  };
  const know = ({ id, kernel, windows, pieces }: SharedPieces) => {
    const arrays = windows.map((parts) => parts.map(view));
    known.set(id, {
      worker: start(kernel.module, kernel.layout),
      pieces: pieces.map(({ window, from, to }) => ({ arrays: arrays[window]!, from, to })),
    });
  };
  const work = (id: number, { next, scalars }: SharedPass) => {
    const { worker, pieces } = known.get(id)!;
    for (let i = Atomics.add(next, 0, 1); i < pieces.length; i = Atomics.add(next, 0, 1))
      worker.apply(pieces[i]!, scalars);
  };
  parentPort!.on('message', (asked: Asked) => {
    if (asked.kind === 'forget') return known.delete(asked.id);
    if (asked.kind === 'know') return know(asked.shared);
    try {
      work(asked.id, asked.pass);
      parentPort!.postMessage({ number: asked.number } satisfies Answered);
    } catch (error) {
      const text = error instanceof Error ? error.message : String(error);
      parentPort!.postMessage({ number: asked.number, error: text } satisfies Answered);
    }
  });
}
