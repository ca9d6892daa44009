/**
 * Text of tokens as they arrive. Bytes of an unfinished character (shown as U+FFFD at the end) wait for the tokens that
 * complete it.
 */
export class TokenText {
  readonly #decode: (ids: readonly number[]) => string;
  readonly #ids: number[] = [];
  #shown = '';

  constructor(decode: (ids: readonly number[]) => string) {
    this.#decode = decode;
  }

  get ids(): readonly number[] {
    return this.#ids;
  }

  /** Everything so far, the unfinished end included. */
  get text(): string {
    return this.#decode(this.#ids);
  }

  /** @returns the characters that this token completes, possibly none. */
  push(id: number): string {
    this.#ids.push(id);
    const whole = this.text.replace(/\uFFFD+$/, '');
    if (!whole.startsWith(this.#shown)) return '';
    const added = whole.slice(this.#shown.length);
    this.#shown = whole;
    return added;
  }

  /** @returns what `push` held back, at the end of the answer. */
  flush(): string {
    const rest = this.text.slice(this.#shown.length);
    this.#shown = this.text;
    return rest;
  }
}
