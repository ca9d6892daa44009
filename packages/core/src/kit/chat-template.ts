/** Chat templates are programs that come with a checkpoint: they run beside the process, within a budget. */
import { createRequire } from 'node:module';
import { Worker } from 'node:worker_threads';
import { errorMessage, SpatialError } from '../errors.js';

/** What rendering may take; far beyond any chat and far below what a machine would notice. */
export interface TemplateBudget {
  /** Expressions and statements that are evaluated. */
  readonly steps: number;
  /** Length of any text on the way. */
  readonly characters: number;
  /** For what the steps do not count, such as a long list in one expression; a busy machine is slow. */
  readonly timeMs: number;
  readonly memoryMb: number;
}

export const TEMPLATE_BUDGET: TemplateBudget = {
  steps: 200_000,
  characters: 2 ** 24,
  timeMs: 60_000,
  memoryMb: 256,
};

/** The prompt of a chat, up to the place where the assistant speaks. @throws SpatialError FILE_INVALID. */
export type RenderChat = (messages: readonly unknown[]) => Promise<string>;

/**
 * Opens a Jinja template in a thread beside the process, which is ended when the budget is spent. All templates share it.
 * @param source template text. @param where its file, for messages.
 * @throws SpatialError FILE_INVALID when the template cannot be parsed.
 */
export async function openChatTemplate(
  source: string,
  where: string,
  budget: TemplateBudget = TEMPLATE_BUDGET,
): Promise<RenderChat> {
  const thread = threadOf(budget);
  const guarded = (request: Omit<Request, 'source'>): Promise<string> =>
    thread.ask({ source, ...request }).catch((cause: unknown) => {
      throw doesNotRender(where, cause);
    });
  await guarded({});
  return (messages) => guarded({ messages });
}

const doesNotRender = (where: string, cause: unknown): SpatialError =>
  new SpatialError({
    code: 'FILE_INVALID',
    message: `${where}: the chat template does not render (${describe(cause)})`,
    hint: 'Restore the chat template published with the checkpoint.',
    cause,
  });

const SHOWN_CHARACTERS = 300;

const describe = (cause: unknown): string =>
  (cause as NodeJS.ErrnoException).code === 'ERR_WORKER_OUT_OF_MEMORY'
    ? 'it needs more memory than a chat template may have'
    : errorMessage(cause).slice(0, SHOWN_CHARACTERS);

/** Without messages the template is only parsed. */
interface Request {
  readonly source: string;
  readonly messages?: readonly unknown[];
}

type Reply = { readonly text: string } | { readonly problem: string };

/** A thread costs a tenth of a second and megabytes: one per budget serves whatever is opened in this process. */
const threads = new Map<string, TemplateThread>();

function threadOf(budget: TemplateBudget): TemplateThread {
  const key = JSON.stringify(budget);
  const thread = threads.get(key) ?? new TemplateThread(budget);
  threads.set(key, thread);
  return thread;
}

/** One question at a time; a thread that did not answer is ended, and the next question starts another. */
class TemplateThread {
  readonly #budget: TemplateBudget;
  #worker: Promise<Worker> | undefined;
  #last: Promise<unknown> = Promise.resolve();

  constructor(budget: TemplateBudget) {
    this.#budget = budget;
  }

  ask(request: Request): Promise<string> {
    const answer = this.#last.then(() => this.#ask(request));
    this.#last = answer.catch(() => undefined);
    return answer;
  }

  async #ask(request: Request): Promise<string> {
    this.#worker ??= startWorker(this.#budget);
    const worker = await this.#worker;
    worker.ref();
    try {
      const reply = await answerOf(worker, request, this.#budget.timeMs);
      // An idle thread does not keep the process.
      worker.unref();
      if ('text' in reply) return reply.text;
      throw new Error(reply.problem);
    } catch (error) {
      this.#worker = undefined;
      await worker.terminate();
      throw error;
    }
  }
}

const answerOf = (worker: Worker, request: Request, timeMs: number): Promise<Reply> =>
  new Promise((resolve, reject) => {
    const overdue = () => reject(new Error(`it did not end within ${timeMs / 1000} s`));
    // Where this thread was the one that was busy, an answer may be waiting: it is read first.
    const timer = setTimeout(() => setImmediate(settle, overdue), timeMs);
    const onMessage = (reply: Reply) => settle(() => resolve(reply));
    const onError = (error: Error) => settle(() => reject(error));
    const onExit = () => settle(() => reject(new Error('its thread ended')));
    function settle(outcome: () => void): void {
      clearTimeout(timer);
      worker.off('message', onMessage).off('error', onError).off('exit', onExit);
      outcome();
    }
    worker.on('message', onMessage).on('error', onError).on('exit', onExit);
    worker.postMessage(request);
  });

const startWorker = (budget: TemplateBudget): Promise<Worker> => {
  const jinja = createRequire(import.meta.url).resolve('@huggingface/jinja');
  const program = `(${serveTemplate.toString()})(require('node:worker_threads'), require(${JSON.stringify(jinja)}))`;
  const worker = new Worker(program, {
    eval: true,
    env: {},
    workerData: budget,
    resourceLimits: { maxOldGenerationSizeMb: budget.memoryMb },
  });
  return new Promise((resolve, reject) => {
    worker.once('online', () => resolve(worker)).once('error', reject);
  });
};

/**
 * What the thread does. Its text is handed over, so it uses nothing but its parameters. The interpreter of the thread counts
 * its steps and looks at every text that it makes.
 */
function serveTemplate(
  { parentPort, workerData }: typeof import('node:worker_threads'),
  { Interpreter, Template }: typeof import('@huggingface/jinja'),
): void {
  const budget = workerData as TemplateBudget;
  const kept = 16;
  type Evaluate = (node: unknown, scope: unknown) => { readonly value?: unknown };
  const counted = Interpreter.prototype as unknown as Record<string, Evaluate>;
  let steps = 0;
  // Each round of a loop is a block, also where nothing is in it.
  for (const method of ['evaluate', 'evaluateBlock']) {
    const evaluate = counted[method]!;
    counted[method] = function (node, scope) {
      steps++;
      if (steps > budget.steps) throw new Error(`it takes more than ${budget.steps} steps`);
      const found = evaluate.call(this, node, scope);
      if (typeof found?.value === 'string' && found.value.length > budget.characters)
        throw new Error(`it makes a text of more than ${budget.characters} characters`);
      return found;
    };
  }
  const templates = new Map<string, InstanceType<typeof Template>>();
  const templateOf = (source: string) => {
    const template = templates.get(source) ?? new Template(source);
    templates.set(source, template);
    if (templates.size > kept) templates.delete(templates.keys().next().value!);
    return template;
  };
  const answer = ({ source, messages }: Request): Reply => {
    try {
      steps = 0;
      const template = templateOf(source);
      if (messages === undefined) return { text: '' };
      return { text: template.render({ messages, add_generation_prompt: true }) };
    } catch (error) {
      return { problem: error instanceof Error ? error.message : String(error) };
    }
  };
  parentPort!.on('message', (request: Request) => parentPort!.postMessage(answer(request)));
}
