import { availableParallelism } from 'node:os';
import { Worker } from 'node:worker_threads';
import { SpatialError } from '@spatialsv/core';
import type { PreparedInputsV1 } from '@spatialsv/core/spec';
import { type Failure, type PrepareReply, type PromptQuestion, sentQuestion } from './messages.js';

export interface PreparationPoolOptions {
  /** Module of a worker, which calls `servePreparation`. */
  readonly entry: URL;
  /** What the module is given as `workerData`. */
  readonly data: unknown;
  /** One for four cores where absent, four at most: the cores are for the model. */
  readonly workers?: number;
}

interface Waiting {
  readonly resolve: (inputs: PreparedInputsV1) => void;
  readonly reject: (error: Error) => void;
}

/** Images are decoded and resized, and prompts laid out, beside the thread that runs the model. */
export class PreparationPool {
  readonly #workers: readonly PreparationWorker[];

  constructor({ entry, data, workers = usualWorkers() }: PreparationPoolOptions) {
    this.#workers = Array.from({ length: workers }, () => new PreparationWorker(entry, data));
  }

  /**
   * Prepares the prompt of a question. Those that are asked for are all begun: the caller says how many that are.
   * @throws what the backbone and the images throw.
   */
  async prepare(question: PromptQuestion): Promise<PreparedInputsV1> {
    const sent = await sentQuestion(question);
    const [idle] = this.#workers.toSorted((a, b) => a.load - b.load);
    return idle!.prepare(sent);
  }

  async dispose(): Promise<void> {
    await Promise.all(this.#workers.map((worker) => worker.dispose()));
  }
}

const usualWorkers = (): number => Math.max(1, Math.min(4, Math.floor(availableParallelism() / 4)));

class PreparationWorker {
  readonly #worker: Worker;
  readonly #waiting = new Map<number, Waiting>();
  #count = 0;
  #ended: Error | undefined;

  constructor(entry: URL, data: unknown) {
    this.#worker = new Worker(entry, { workerData: data });
    this.#worker.on('message', (reply: PrepareReply) => this.#settle(reply));
    this.#worker.on('error', (error: Error) => this.#end(error));
    this.#worker.on('exit', (code) => this.#end(endedEarly(code)));
  }

  /** Prompts that it has not given yet. */
  get load(): number {
    return this.#waiting.size;
  }

  prepare(question: Awaited<ReturnType<typeof sentQuestion>>): Promise<PreparedInputsV1> {
    return new Promise((resolve, reject) => {
      if (this.#ended !== undefined) {
        reject(this.#ended);
        return;
      }
      const id = this.#count;
      this.#count += 1;
      this.#waiting.set(id, { resolve, reject });
      this.#worker.postMessage({ id, ...question });
    });
  }

  async dispose(): Promise<void> {
    await this.#worker.terminate();
  }

  #settle(reply: PrepareReply): void {
    const waiting = this.#waiting.get(reply.id);
    this.#waiting.delete(reply.id);
    if ('inputs' in reply) waiting?.resolve(reply.inputs);
    else waiting?.reject(errorOf(reply.failure));
  }

  #end(error: Error): void {
    this.#ended ??= error;
    for (const { reject } of this.#waiting.values()) reject(this.#ended);
    this.#waiting.clear();
  }
}

const errorOf = ({ message, coded }: Failure): Error =>
  coded === undefined ? new Error(message) : new SpatialError({ message, ...coded });

const endedEarly = (code: number): Error =>
  new Error(`the thread that prepares prompts ended with ${code} before its work was done`);
