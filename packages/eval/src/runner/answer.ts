import type { BackboneV1, NextTokens, PreparedInputsV1 } from '@spatialsv/core';
import { requireFinite } from './finite.js';
import type { KeptStart, PromptStart } from './shared-starts.js';
import { type Sampling, TokenChooser } from './token-choice.js';
import { TokenText } from './token-text.js';

export interface GenerateOptions {
  /** Tokens at most; the checkpoint's own limit, or 128, where absent. */
  readonly maxNewTokens?: number;
  /** Makes tokens of prompt and answer less probable; that of the checkpoint where absent, 1 for none. */
  readonly repetitionPenalty?: number;
  /** Draws the answer; greedy where absent, whatever the checkpoint says. */
  readonly sampling?: Sampling;
  /** Called with the characters that each token completes. */
  readonly onText?: (text: string) => void;
  /** Called after each token. */
  readonly onToken?: (count: number) => void;
  /** Stops after the token under way. */
  readonly signal?: AbortSignal;
}

export interface GenerateResult {
  /** New tokens, without the one that ended the turn. */
  readonly ids: readonly number[];
  readonly text: string;
  readonly stoppedBy: 'end-of-turn' | 'length' | 'signal';
}

/** One answer under way: its prompt, its tokens so far, and where their keys and values are. */
export class Answer {
  readonly inputs: PreparedInputsV1;
  readonly limit: number;
  readonly result: Promise<GenerateResult>;
  /** What of its prompt others may share; null until it is known. */
  sharable: PromptStart | undefined | null = null;
  /** Its start in the cache. */
  start: KeptStart | undefined;
  /** Slots of the tokens behind the start. */
  readonly ownSlots: number[] = [];
  /** Whether it has a result, or an error. */
  isSettled = false;
  readonly #backbone: BackboneV1;
  readonly #options: GenerateOptions;
  readonly #text: TokenText;
  readonly #chooser: TokenChooser;
  #settle!: { resolve: (result: GenerateResult) => void; reject: (error: unknown) => void };

  constructor(backbone: BackboneV1, inputs: PreparedInputsV1, options: GenerateOptions) {
    const { generation } = backbone.config;
    this.inputs = inputs;
    this.limit = options.maxNewTokens ?? generation.maxNewTokens ?? 128;
    this.#backbone = backbone;
    this.#options = options;
    this.#text = new TokenText((ids) => backbone.decodeTokens(ids));
    this.#chooser = new TokenChooser(generation.penalisesPrompt === false ? [] : inputs.inputIds, {
      repetitionPenalty: options.repetitionPenalty ?? generation.repetitionPenalty,
      sampling: options.sampling,
    });
    this.result = new Promise((resolve, reject) => {
      this.#settle = { resolve, reject };
    });
  }

  get isAborted(): boolean {
    return this.#options.signal?.aborted === true;
  }

  /** The part of the prompt behind its start, which takes these slots. */
  restOfPrompt(slots: readonly number[]): NextTokens {
    const { inputIds, positions, positionRows } = this.inputs;
    const seen = this.start!.slots;
    const [first, tokens] = [seen.length, inputIds.length];
    const columns = Array.from({ length: positionRows }, (_, row) => [
      ...positions.subarray(row * tokens + first, (row + 1) * tokens),
    ]);
    this.ownSlots.push(...slots);
    const rest = { inputIds: inputIds.slice(first), positions: Int32Array.from(columns.flat()) };
    return { ...rest, seen, slots };
  }

  /** The last token, which takes this slot. */
  lastToken(slot: number): NextTokens {
    const { ids } = this.#text;
    const { nextPosition, positionRows } = this.inputs;
    const seen = [...(this.start?.slots ?? []), ...this.ownSlots];
    this.ownSlots.push(slot);
    const positions = new Int32Array(positionRows).fill(nextPosition + ids.length - 1);
    return { inputIds: Int32Array.of(ids.at(-1)!), positions, seen, slots: [slot] };
  }

  /**
   * Chooses the next token.
   * @param logits (K). @returns whether the answer goes on.
   * @throws SpatialError NON_FINITE for logits that are no numbers, and what listeners throw.
   */
  async take(logits: Float32Array): Promise<boolean> {
    await requireFinite('logits of the next token', logits, { backbone: this.#backbone });
    const { endOfTurnIds } = this.#backbone.config.generation;
    const id = this.#chooser.choose(logits);
    if (endOfTurnIds.includes(id)) return this.finish('end-of-turn');
    if (this.#text.ids.length >= this.limit) return this.finish('length');
    if (this.isAborted) return this.finish('signal');
    const completed = this.#text.push(id);
    this.#options.onText?.(completed);
    this.#options.onToken?.(this.#text.ids.length);
    return this.#text.ids.length < this.limit || this.finish('length');
  }

  /** @returns false: it does not go on. */
  finish(stoppedBy: GenerateResult['stoppedBy']): false {
    this.#options.onText?.(this.#text.flush());
    this.isSettled = true;
    this.#settle.resolve({ ids: this.#text.ids, text: this.#text.text, stoppedBy });
    return false;
  }

  fail(error: unknown): void {
    this.isSettled = true;
    this.#settle.reject(error);
  }
}
