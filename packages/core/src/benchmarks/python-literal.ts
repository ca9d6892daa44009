/** Cells of tables that hold Python literals, such as `['left', 'right']`. */

/**
 * Reads a Python list, tuple, string, number, None, True or False.
 * @returns undefined where the text is none of them.
 */
export function parsePythonLiteral(text: string): unknown {
  const reader = new LiteralReader(text);
  try {
    const value = reader.value();
    return reader.isAtEnd() ? value : undefined;
  } catch {
    return undefined;
  }
}

const WORDS: Readonly<Record<string, unknown>> = { None: null, True: true, False: false };
const ESCAPES: Readonly<Record<string, string>> = { n: '\n', t: '\t', r: '\r', '\n': '' };
/** Nested deeper nothing is read. */
const DEEPEST = 32;

class LiteralReader {
  #at = 0;
  readonly #text: string;

  constructor(text: string) {
    this.#text = text;
  }

  isAtEnd(): boolean {
    this.#skip();
    return this.#at === this.#text.length;
  }

  value(depth = 0): unknown {
    this.#skip();
    const next = this.#text[this.#at];
    if (next === '[') return this.#list(']', depth);
    if (next === '(') return this.#list(')', depth);
    if (next === "'" || next === '"') return this.#string(next);
    return this.#word();
  }

  #skip(): void {
    while (/\s/.test(this.#text[this.#at] ?? '')) this.#at += 1;
  }

  #list(end: string, depth: number): unknown[] {
    if (depth >= DEEPEST) throw new SyntaxError('nested too deeply');
    const values: unknown[] = [];
    for (this.#at += 1; ; ) {
      this.#skip();
      if (this.#text[this.#at] === end) break;
      values.push(this.value(depth + 1));
      this.#skip();
      if (this.#text[this.#at] === ',') this.#at += 1;
      else if (this.#text[this.#at] !== end) throw new SyntaxError('expected a comma');
    }
    this.#at += 1;
    return values;
  }

  #string(quote: string): string {
    let value = '';
    for (this.#at += 1; this.#text[this.#at] !== quote; this.#at += 1) {
      let next = this.#text[this.#at];
      if (next === '\\') {
        this.#at += 1;
        next = ESCAPES[this.#text[this.#at]!] ?? this.#text[this.#at];
      }
      if (next === undefined) throw new SyntaxError('a string without an end');
      value += next;
    }
    this.#at += 1;
    return value;
  }

  #word(): unknown {
    const word = /^[\w.+-]+/.exec(this.#text.slice(this.#at))?.[0];
    if (word === undefined) throw new SyntaxError('expected a value');
    this.#at += word.length;
    if (word in WORDS) return WORDS[word];
    const number = Number(word);
    if (Number.isNaN(number)) throw new SyntaxError(`unknown word ${word}`);
    return number;
  }
}
