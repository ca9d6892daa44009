/**
 * Keeps sessions that are made on other threads apart from the recording of a run: while CUDA records, an allocation or a copy by anybody
 * ends the recording, and fails itself.
 */
export class RecordingGate {
  readonly #making = new Set<Promise<unknown>>();
  #recording: Promise<unknown> | undefined;

  /** Work beside which nothing is recorded. */
  async make<Result>(work: () => Promise<Result>): Promise<Result> {
    while (this.#recording !== undefined) await this.#recording;
    const made = work();
    const ended = made.catch(() => undefined);
    this.#making.add(ended);
    try {
      return await made;
    } finally {
      this.#making.delete(ended);
    }
  }

  /** Records when what is being made has been made; what is asked for meanwhile waits. */
  async record<Result>(work: () => Promise<Result>): Promise<Result> {
    while (this.#recording !== undefined) await this.#recording;
    const recorded = Promise.all(this.#making).then(work);
    this.#recording = recorded.catch(() => undefined);
    try {
      return await recorded;
    } finally {
      this.#recording = undefined;
    }
  }
}

export const recordingGate = new RecordingGate();
