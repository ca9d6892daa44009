import { SpatialError } from '../errors.js';

/** The text of one row, with the line (1-based) that it begins in. */
export interface RecordText {
  readonly text: string;
  readonly line: number;
}

/** Longest row, characters: no row of a data set is so long, and a file without line ends must not fill the memory. */
const MAX_ROW = 1 << 26;

/**
 * Cuts a text into rows: the lines of JSON Lines, or the elements of a JSON array, whichever it holds. Only LF, CR and CR LF end
 * a line: U+2028 and U+2029 may stand in a JSON string. Blank lines are skipped.
 * @param path for messages.
 * @throws SpatialError DATA_INVALID for an array that does not end, and for a row that is too long.
 */
export async function* splitRecords(
  pieces: AsyncIterable<string>,
  path: string,
): AsyncGenerator<RecordText> {
  let splitter: Splitter | undefined;
  for await (const piece of pieces) {
    if (splitter === undefined && piece.trim() === '') continue;
    splitter ??= piece.trimStart().startsWith('[')
      ? new ElementSplitter(path)
      : new LineSplitter(path);
    yield* splitter.next(piece);
  }
  if (splitter !== undefined) yield* splitter.end();
}

interface Splitter {
  next(piece: string): Iterable<RecordText>;
  end(): Iterable<RecordText>;
}

const invalid = (path: string, line: number, what: string, hint: string): SpatialError =>
  new SpatialError({ code: 'DATA_INVALID', message: `${path}:${line}: ${what}`, hint });

const tooLong = (path: string, line: number): SpatialError =>
  invalid(
    path,
    line,
    `expected a row of at most ${MAX_ROW} characters, found a longer one`,
    'Write one JSON object a line. Images are files beside the data, named by their paths.',
  );

class LineSplitter implements Splitter {
  readonly #path: string;
  #rest = '';
  #line = 1;

  constructor(path: string) {
    this.#path = path;
  }

  *next(piece: string): Iterable<RecordText> {
    // The LF of a CR LF may be in the next piece.
    const text = this.#rest + piece;
    const end = text.endsWith('\r') ? text.length - 1 : text.length;
    const lines = text.slice(0, end).split(/\r\n|\n|\r/);
    this.#rest = lines.pop()! + text.slice(end);
    if (this.#rest.length > MAX_ROW) throw tooLong(this.#path, this.#line + lines.length);
    for (const line of lines) yield* this.#row(line);
  }

  end(): Iterable<RecordText> {
    return this.#row(this.#rest);
  }

  *#row(text: string): Iterable<RecordText> {
    const line = this.#line++;
    if (text.trim() !== '') yield { text, line };
  }
}

/** Elements of the outermost array. Whether an element is valid JSON is seen where it is parsed. */
class ElementSplitter implements Splitter {
  readonly #path: string;
  /** Of the element under way. */
  #text = '';
  #start = 1;
  #line = 1;
  #depth = 0;
  #isClosed = false;
  #inString = false;
  #isEscaped = false;

  constructor(path: string) {
    this.#path = path;
  }

  *next(piece: string): Iterable<RecordText> {
    // Where the element under way begins in this piece.
    let from = 0;
    for (let at = 0; at < piece.length; at++) {
      const character = piece[at]!;
      const wasInside = this.#inString || this.#depth > 1;
      if (this.#isCut(character) && !wasInside) {
        yield* this.#take(piece.slice(from, at));
        from = at + 1;
      }
      this.#pass(character);
    }
    this.#add(piece.slice(from));
  }

  /** Whether a character ends or begins an element, outside of one. */
  #isCut(character: string): boolean {
    if (character === '[') return this.#depth === 0 && !this.#isClosed;
    return (character === ',' || character === ']') && this.#depth === 1;
  }

  #pass(character: string): void {
    if (character === '\n') this.#line++;
    if (this.#inString) {
      if (character === '"' && !this.#isEscaped) this.#inString = false;
      this.#isEscaped = character === '\\' && !this.#isEscaped;
    } else if (character === '"') this.#inString = true;
    else if (character === '[' || character === '{') this.#depth++;
    else if (character === ']' || character === '}') this.#isClosed ||= --this.#depth === 0;
  }

  #add(part: string): void {
    if (this.#text.trim() === '') {
      // The line of the element is that of its first character.
      const trimmed = part.trimStart();
      const below = part.slice(part.length - trimmed.length).split('\n').length - 1;
      this.#start = this.#line - below;
      this.#text = trimmed;
    } else this.#text += part;
    if (this.#text.length > MAX_ROW) throw tooLong(this.#path, this.#start);
  }

  *#take(part: string): Iterable<RecordText> {
    this.#add(part);
    const { text, line } = { text: this.#text.trimEnd(), line: this.#start };
    this.#text = '';
    if (text !== '') yield { text, line };
  }

  end(): Iterable<RecordText> {
    if (this.#isClosed && this.#text.trim() === '') return [];
    throw invalid(
      this.#path,
      this.#line,
      this.#isClosed
        ? 'expected the end of the file after the list, found more text'
        : 'expected the end of the list, found the end of the file',
      'The file is cut off or was joined of several: write it again, or as JSON Lines with one object a line.',
    );
  }
}
