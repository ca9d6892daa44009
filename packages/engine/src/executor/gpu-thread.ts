import { createRequire } from 'node:module';
import { Worker } from 'node:worker_threads';
import { api, type Pointer } from './api.js';
import { STACK_BYTES } from './library.js';

/** What the thread is started with. */
interface ThreadData {
  /** File of the foreign-function layer. */
  readonly koffi: string;
  /** Path of ONNX Runtime, and the address of its RunWithBinding. */
  readonly library: string;
  readonly stackBytes: number;
  readonly run: Pointer;
}

interface Asked {
  readonly id: number;
  /** Session, run options and binding. */
  readonly parameters: readonly [Pointer, Pointer | null, Pointer];
}

interface Answered {
  readonly id: number;
  readonly status: Pointer | null;
}

/**
 * One thread on which all runs on NVIDIA GPUs take place. The CUDA provider keeps handles with working memory of their own for
 * every thread that it is called on, and libuv's pool would show it four.
 */
class GpuThread {
  readonly #worker: Worker;
  readonly #waiting = new Map<number, (answer: Pointer | null | Error) => void>();
  #asked = 0;

  constructor() {
    const { library, addressOf } = api();
    const koffi = createRequire(import.meta.url).resolve('koffi');
    const run = addressOf('RunWithBinding');
    const workerData: ThreadData = { koffi, library, run, stackBytes: STACK_BYTES };
    this.#worker = new Worker(`(${threadMain.toString()})(require)`, { eval: true, workerData });
    this.#worker.on('message', ({ id, status }: Answered) => this.#settle(id, status));
    this.#worker.on('error', (error) => this.#fail(error));
    // An idle thread does not keep the process alive.
    this.#worker.unref();
  }

  /** @returns an owned OrtStatus, null for success. @throws Error where the thread could not run. */
  run(...parameters: Asked['parameters']): Promise<Pointer | null> {
    const id = this.#asked;
    this.#asked += 1;
    this.#worker.ref();
    return new Promise((resolve, reject) => {
      this.#waiting.set(id, (answer) =>
        answer instanceof Error ? reject(answer) : resolve(answer),
      );
      this.#worker.postMessage({ id, parameters } satisfies Asked);
    });
  }

  #settle(id: number, answer: Pointer | null | Error): void {
    const settle = this.#waiting.get(id);
    this.#waiting.delete(id);
    if (this.#waiting.size === 0) this.#worker.unref();
    settle?.(answer);
  }

  #fail(error: Error): void {
    for (const id of [...this.#waiting.keys()]) this.#settle(id, error);
  }
}

let thread: GpuThread | undefined;

/** The thread of this process, started at the first run on a GPU. */
export function gpuThread(): GpuThread {
  thread ??= new GpuThread();
  return thread;
}

/** Body of the thread. It is handed over as text, so it uses nothing from outside of itself. */
function threadMain(load: NodeJS.Require): void {
  const { parentPort, workerData } = load(
    'node:worker_threads',
  ) as typeof import('node:worker_threads');
  const { koffi: path, library, stackBytes, run: address } = workerData as ThreadData;
  const koffi = load(path) as typeof import('koffi').default;
  if (koffi.config().sync_stack_size! < stackBytes) {
    koffi.config({ sync_stack_size: stackBytes, async_stack_size: stackBytes });
  }
  // koffi prepares the stacks of a thread when it loads a library there.
  koffi.load(library);
  const type = koffi.proto('void *', ['void *', 'void *', 'void *']);
  const run = koffi.decode(address, type) as (...parameters: Asked['parameters']) => Pointer | null;
  parentPort!.on('message', ({ id, parameters }: Asked) => {
    parentPort!.postMessage({ id, status: run(...parameters) } satisfies Answered);
  });
}
