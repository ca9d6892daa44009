import { availableParallelism } from 'node:os';
import { Worker } from 'node:worker_threads';
import { errorOf, type ThreadReply } from './messages.js';

export interface ThreadPoolOptions {
  /** Module of a thread, which calls `serveRequests`. */
  readonly entry: URL;
  /** What the module is given as `workerData`. */
  readonly data: unknown;
  /** One for four cores where absent, four at most: the cores are for the model. */
  readonly threads?: number;
}

interface Waiting<Reply> {
  readonly resolve: (reply: Reply) => void;
  readonly reject: (error: Error) => void;
}

/** Threads that do work beside the one that runs the model: decoding and resizing of images, laying out of prompts, label maps. */
export class ThreadPool<Request, Reply> {
  readonly #threads: readonly PoolThread<Request, Reply>[];

  constructor({ entry, data, threads = usualThreads() }: ThreadPoolOptions) {
    this.#threads = Array.from({ length: threads }, () => new PoolThread(entry, data));
  }

  /** Threads of the pool. */
  get size(): number {
    return this.#threads.length;
  }

  /** Whether a thread has opened what it serves, and goes on. */
  get isReady(): boolean {
    return this.#threads.some(({ isReady }) => isReady);
  }

  /**
   * Gives a request to the thread with the fewest. All that are asked for are begun: the caller says how many that are.
   * @throws what the thread throws, and an Error where it has ended.
   */
  ask(request: Request): Promise<Reply> {
    const order = (a: PoolThread<Request, Reply>, b: PoolThread<Request, Reply>) =>
      Number(b.isReady) - Number(a.isReady) || a.load - b.load;
    return this.#threads.toSorted(order)[0]!.ask(request);
  }

  async dispose(): Promise<void> {
    await Promise.all(this.#threads.map((thread) => thread.dispose()));
  }
}

const usualThreads = (): number => Math.max(1, Math.min(4, Math.floor(availableParallelism() / 4)));

class PoolThread<Request, Reply> {
  readonly #worker: Worker;
  readonly #waiting = new Map<number, Waiting<Reply>>();
  #count = 0;
  #isOpen = false;
  #ended: Error | undefined;

  constructor(entry: URL, data: unknown) {
    this.#worker = new Worker(entry, { workerData: data });
    this.#worker.on('message', (reply: ThreadReply<Reply>) => this.#settle(reply));
    this.#worker.on('error', (error: Error) => this.#end(error));
    this.#worker.on('exit', (code) => this.#end(endedEarly(code)));
  }

  /** Requests that it has not answered yet. */
  get load(): number {
    return this.#waiting.size;
  }

  get isReady(): boolean {
    return this.#isOpen && this.#ended === undefined;
  }

  ask(request: Request): Promise<Reply> {
    return new Promise((resolve, reject) => {
      if (this.#ended !== undefined) {
        reject(this.#ended);
        return;
      }
      const id = this.#count;
      this.#count += 1;
      this.#waiting.set(id, { resolve, reject });
      this.#worker.postMessage({ id, request });
    });
  }

  async dispose(): Promise<void> {
    await this.#worker.terminate();
  }

  #settle(message: ThreadReply<Reply>): void {
    if ('ready' in message) {
      this.#isOpen = true;
      return;
    }
    const waiting = this.#waiting.get(message.id);
    this.#waiting.delete(message.id);
    if ('reply' in message) waiting?.resolve(message.reply);
    else waiting?.reject(errorOf(message.failure));
  }

  #end(error: Error): void {
    this.#ended ??= error;
    for (const { reject } of this.#waiting.values()) reject(this.#ended);
    this.#waiting.clear();
  }
}

const endedEarly = (code: number): Error =>
  new Error(`a thread of the preparation ended with ${code} before its work was done`);
