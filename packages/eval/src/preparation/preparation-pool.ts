import { ThreadPool, type ThreadPoolOptions } from '@spatialsv/core';
import type { PreparedInputsV1 } from '@spatialsv/core/spec';
import { type PromptQuestion, type SentQuestion, sentQuestion } from './messages.js';

/** Images are decoded and resized, and prompts laid out, beside the thread that runs the model. */
export class PreparationPool {
  readonly #threads: ThreadPool<SentQuestion, PreparedInputsV1>;

  /** @param options the module of a thread calls `servePreparation`. */
  constructor(options: ThreadPoolOptions) {
    this.#threads = new ThreadPool(options);
  }

  /**
   * Prepares the prompt of a question. Those that are asked for are all begun: the caller says how many that are.
   * @throws what the backbone and the images throw.
   */
  async prepare(question: PromptQuestion): Promise<PreparedInputsV1> {
    return this.#threads.ask(await sentQuestion(question));
  }

  dispose(): Promise<void> {
    return this.#threads.dispose();
  }
}
