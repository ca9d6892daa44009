import {
  type BackboneV1,
  type CompiledDecoder,
  type PreparedInputsV1,
  padSequence,
  SpatialError,
} from '@spatialsv/core';
import { availableMemory } from '@spatialsv/engine';
import { Answer, type GenerateOptions, type GenerateResult } from './answer.js';
import { CacheSlots } from './cache-slots.js';
import { promptStart, SharedStarts } from './shared-starts.js';

export interface AnswerBatchOptions {
  readonly backbone: BackboneV1;
  readonly decoder: CompiledDecoder;
  /** (N, C) rows of all views of a prompt. */
  readonly encodeViews: (inputs: PreparedInputsV1) => Promise<Float32Array>;
  /** Answers that are decoded together at most. */
  readonly size: number;
  /** Whether starts of prompts are shared. */
  readonly reuse: boolean;
}

/** An answer, and the logits (K) of its next token. */
type Continued = readonly [answer: Answer, logits: Float32Array];

/** Tokens of an answer that room is made for at a time. */
const ANSWER_ROOM = 32;
/** Rows of one pass over the rests of prompts at most. */
const MOST_ROWS = 512;
/** Share of the available memory that keys and values of several answers may take; one alone may take all. */
const MEMORY_SHARE = 1 / 4;

/**
 * Answers that are decoded together: every step reads the weights once for the next token of each. Answers join as soon as
 * there is room and leave when they end; the tokens of each are those that it has alone.
 */
export class AnswerBatch {
  readonly #options: AnswerBatchOptions;
  readonly #memory: CacheSlots;
  readonly #starts: SharedStarts;
  readonly #mostSlots: number;
  #waiting: Answer[] = [];
  #active: Answer[] = [];
  #work: Promise<void> | undefined;
  /** Why the cache cannot be used any more. */
  #spoilt: { readonly error: unknown } | undefined;
  #isDisposed = false;

  constructor(options: AnswerBatchOptions) {
    const { layers, kvHeads, headDim } = options.backbone.config;
    this.#options = options;
    this.#memory = new CacheSlots(options.decoder);
    this.#starts = new SharedStarts(this.#memory);
    this.#mostSlots = (availableMemory() * MEMORY_SHARE) / (8 * layers * kvHeads * headDim);
  }

  /**
   * Answers a prompt, beside others that are asked meanwhile.
   * @throws SpatialError NON_FINITE for logits that are no numbers.
   */
  generate(inputs: PreparedInputsV1, options: GenerateOptions): Promise<GenerateResult> {
    const answer = new Answer(this.#options.backbone, inputs, options);
    if (this.#isDisposed) answer.fail(disposed());
    else this.#waiting.push(answer);
    this.#work ??= this.#workOff();
    return answer.result;
  }

  /** Ends what is under way. */
  async dispose(): Promise<void> {
    this.#isDisposed = true;
    await this.#work;
    this.#forget(disposed());
  }

  async #workOff(): Promise<void> {
    // What is asked in the same turn begins together.
    await Promise.resolve();
    while (!this.#isDisposed && this.#waiting.length + this.#active.length > 0) {
      await this.#admit();
      await this.#step();
      if (this.#spoilt !== undefined) this.#forget(this.#spoilt.error);
    }
    for (const answer of this.#waiting.splice(0)) answer.fail(disposed());
    this.#work = undefined;
  }

  /** Reads prompts while there is room: whole ones one by one, what follows a known start together. */
  async #admit(): Promise<void> {
    const joining = this.#takeWaiting();
    const read: Continued[] = [];
    const following: Answer[] = [];
    await this.#attempt(joining, () => this.#makeRoom(joining));
    for (const answer of joining.filter(({ isSettled }) => !isSettled)) {
      await this.#attempt([answer], async () => {
        if (await this.#begin(answer, read)) following.push(answer);
      });
    }
    await this.#follow(following, read);
    await this.#accept(read);
  }

  /** Those that wait and fit beside the active ones: one at least where none is active. */
  #takeWaiting(): Answer[] {
    const { size } = this.#options;
    let [count, slots] = [0, this.#memory.used];
    for (const { inputs, limit } of this.#waiting) {
      const others = this.#active.length + count;
      slots += inputs.inputIds.length + limit;
      if (others >= size || (others > 0 && slots > this.#mostSlots)) break;
      count += 1;
    }
    return this.#waiting.splice(0, count);
  }

  /** Makes the cache as large as these answers need it: each size has programs of its own. */
  async #makeRoom(answers: readonly Answer[]): Promise<void> {
    const known = new Set<string>();
    let slots = 0;
    for (const answer of answers) {
      if (this.#options.reuse) answer.sharable ??= await promptStart(answer.inputs);
      const { key, tokens = 0 } = answer.sharable ?? {};
      const isThere = key !== undefined && (known.has(key) || this.#starts.has(key));
      slots += answer.inputs.inputIds.length - (isThere ? tokens : 0) + ANSWER_ROOM;
      if (key !== undefined) known.add(key);
    }
    await this.#memory.reserve(slots);
  }

  /** Reads a whole prompt. @returns whether there is a rest to read instead, because its start is known. */
  async #begin(answer: Answer, read: Continued[]): Promise<boolean> {
    if (answer.isAborted) return answer.finish('signal');
    const { sharable } = answer;
    answer.start = sharable ? this.#starts.use(sharable.key) : undefined;
    if (answer.start !== undefined) return true;
    const slots = await this.#roomFor(answer);
    answer.ownSlots.push(...slots);
    read.push([answer, await this.#prefill(answer, slots)]);
    if (sharable) {
      const shared = answer.ownSlots.splice(0, sharable.tokens);
      answer.start = this.#starts.keep({ ...sharable, slots: shared });
    }
    return false;
  }

  /** Slots for the part of a prompt that is not there yet. */
  async #roomFor({ inputs, start }: Answer): Promise<number[]> {
    const tokens = inputs.inputIds.length - (start?.tokens ?? 0);
    await this.#memory.reserve(tokens);
    return this.#memory.take(tokens);
  }

  async #prefill({ inputs }: Answer, slots: readonly number[]): Promise<Float32Array> {
    const { decoder, encodeViews } = this.#options;
    const sequence = padSequence(inputs);
    const { cache } = this.#memory;
    const sequences = Math.min(this.#options.size, this.#active.length + this.#waiting.length + 1);
    const [rows] = await Promise.all([
      encodeViews(inputs),
      decoder.prepareGeneration(sequence, visualTokens(inputs), {
        capacity: cache.capacity,
        sequences,
      }),
    ]);
    return decoder.prefill(sequence, rows, cache, slots);
  }

  /** The rests of prompts whose start is there. */
  async #follow(answers: readonly Answer[], read: Continued[]): Promise<void> {
    for (let first = 0; first < answers.length; ) {
      const count = fillRows(answers, first);
      const together = answers.slice(first, first + count);
      first += count;
      await this.#attempt(together, async () => {
        const rests = [];
        for (const answer of together) rests.push(answer.restOfPrompt(await this.#roomFor(answer)));
        const logits = await this.#options.decoder.extend(this.#memory.cache, rests);
        read.push(...together.map((answer, i) => [answer, logits[i]!] as const));
      });
    }
  }

  /** One token more of every answer. */
  async #step(): Promise<void> {
    const answers = this.#active;
    if (answers.length === 0) return;
    await this.#attempt(answers, async () => {
      const { length } = answers;
      if (this.#memory.free < length) await this.#memory.reserve(length * ANSWER_ROOM);
      const slots = this.#memory.take(length);
      const tokens = answers.map((answer, i) => answer.lastToken(slots[i]!));
      const logits = await this.#options.decoder.extend(this.#memory.cache, tokens);
      this.#active = [];
      await this.#accept(answers.map((answer, i) => [answer, logits[i]!]));
    });
  }

  /** Chooses the next token of each; those that go on are active from here on. */
  async #accept(continued: readonly Continued[]): Promise<void> {
    for (const [answer, logits] of continued) {
      await this.#attempt([answer], async () => {
        if (await answer.take(logits)) this.#active.push(answer);
        else this.#leave(answer);
      });
    }
  }

  /** What goes wrong is the error of these answers. */
  async #attempt(answers: readonly Answer[], work: () => Promise<void>): Promise<void> {
    try {
      await work();
    } catch (error) {
      for (const answer of answers) {
        answer.fail(error);
        this.#leave(answer);
      }
      this.#active = this.#active.filter((answer) => !answers.includes(answer));
      // Keys and values that are no numbers would spoil what others read.
      if (SpatialError.isInstance(error) && error.code === 'NON_FINITE') this.#spoilt = { error };
    }
  }

  #leave(answer: Answer): void {
    this.#memory.give(answer.ownSlots.splice(0));
    if (answer.start !== undefined) this.#starts.leave(answer.start);
    answer.start = undefined;
  }

  /** Ends all answers and empties the cache. */
  #forget(error: unknown): void {
    for (const answer of this.#active.splice(0)) answer.fail(error);
    this.#spoilt = undefined;
    this.#starts.clear();
    this.#memory.clear();
  }
}

/** Visual rows of all views of a prompt. */
export const visualTokens = ({ grids }: PreparedInputsV1): number =>
  grids.reduce((sum, { tokenIndex, extraIndex }) => sum + tokenIndex.length + extraIndex.length, 0);

/** How many of the answers, from the first on, have rests that fit into one pass; one at least. */
function fillRows(answers: readonly Answer[], first: number): number {
  let [count, rows] = [0, 0];
  for (const { inputs, start } of answers.slice(first)) {
    rows += inputs.inputIds.length - start!.tokens;
    if (count > 0 && rows > MOST_ROWS) break;
    count += 1;
  }
  return count;
}

const disposed = (): SpatialError =>
  new SpatialError({
    code: 'USAGE',
    message: 'An answer was asked for from a runner that is disposed.',
    hint: 'Dispose the runner after its last answer.',
  });
