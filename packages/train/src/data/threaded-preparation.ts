import type { Served, ThreadPool } from '@spatialsv/core';
import type {
  LabelsRequest,
  SamplePreparation,
  Sequence,
  SequenceRequest,
  ViewSetLabels,
} from './sample-preparation.js';

/** What a thread is asked. */
export type PreparationRequest =
  | { readonly sequence: SequenceRequest }
  | { readonly labels: LabelsRequest };

export type PreparationReply = Sequence | ViewSetLabels;

/** Threads that answer with what they are asked for. */
export type PreparationThreads = Pick<
  ThreadPool<PreparationRequest, PreparationReply>,
  'ask' | 'isReady' | 'size'
>;

/** Answers requests of {@link ThreadedPreparation} in a thread. */
export async function servePreparation(
  preparation: SamplePreparation,
  request: PreparationRequest,
): Promise<Served<PreparationReply>> {
  if ('sequence' in request) {
    const reply = await preparation.sequence(request.sequence);
    return { reply, transfer: reply.views.map(({ pixelValues }) => bufferOf(pixelValues)) };
  }
  const reply = await preparation.labels(request.labels);
  return { reply, transfer: labelArrays(reply).map(bufferOf) };
}

const bufferOf = ({ buffer }: Float32Array): ArrayBuffer => buffer as ArrayBuffer;

const labelArrays = ({ views = [], distilled }: ViewSetLabels): Float32Array[] => [
  ...views.flatMap((view) => Object.values(view)),
  ...(distilled === undefined ? [] : [distilled.data]),
];

/**
 * Preparation in threads of their own. Until they have opened the model, and when they have ended, this thread does the work: what
 * comes out is the same.
 */
export class ThreadedPreparation implements SamplePreparation {
  readonly #threads: PreparationThreads;
  readonly #local: SamplePreparation;
  /** Whether the threads have the labels as well: those that a model makes during the run are made here. */
  readonly #hasLabels: boolean;

  constructor(threads: PreparationThreads, local: SamplePreparation, hasLabels: boolean) {
    this.#threads = threads;
    this.#local = local;
    this.#hasLabels = hasLabels;
  }

  async sequence(request: SequenceRequest): Promise<Sequence> {
    const asked = await this.#ask({ sequence: request });
    return (asked ?? (await this.#local.sequence(request))) as Sequence;
  }

  async labels(request: LabelsRequest): Promise<ViewSetLabels> {
    const asked = this.#hasLabels ? await this.#ask({ labels: request }) : undefined;
    return (asked ?? (await this.#local.labels(request))) as ViewSetLabels;
  }

  /** @returns undefined where no thread is there to answer. */
  async #ask(request: PreparationRequest): Promise<PreparationReply | undefined> {
    if (!this.#threads.isReady) return undefined;
    try {
      return await this.#threads.ask(request);
    } catch (error) {
      // A thread that has ended has said nothing of the sample.
      if (this.#threads.isReady) throw error;
      return undefined;
    }
  }
}
