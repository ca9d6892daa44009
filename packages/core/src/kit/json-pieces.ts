/**
 * JSON of many items, parsed a piece at a time. Parsed as a whole, the file of a large tokenizer leaves several times its size
 * behind, which the process holds until its next full garbage collection.
 */

/** Bytes from `start` to before `end`. */
export interface ByteRange {
  readonly start: number;
  readonly end: number;
}

const code = (character: string): number => character.charCodeAt(0);
const [QUOTE, BACKSLASH, COMMA, COLON] = [code('"'), code('\\'), code(','), code(':')];
const [OPEN_OBJECT, OPEN_ARRAY] = [code('{'), code('[')];
const [CLOSE_OBJECT, CLOSE_ARRAY] = [code('}'), code(']')];
const BLANK: readonly unknown[] = [...' \t\r\n'].map(code);
/** A piece has at least so many bytes: few calls of the parser, and little that is alive at a time. */
const PIECE_BYTES = 65536;

/** Compared one by one: a search in a list takes longer, and each of millions of bytes is asked about. */
const isOpening = (byte: number | undefined): boolean =>
  byte === OPEN_OBJECT || byte === OPEN_ARRAY;
const isClosing = (byte: number | undefined): boolean =>
  byte === CLOSE_OBJECT || byte === CLOSE_ARRAY;

const cutOff = (): SyntaxError => new SyntaxError('JSON that is cut off');

/**
 * Whole items of an object or array, so many at once that they take `least` bytes; the last may take fewer.
 * @param open position of its opening bracket. @throws SyntaxError where no bracket closes it.
 */
function* itemRanges(bytes: Uint8Array, open: number, least: number): Generator<ByteRange> {
  let [start, depth] = [open + 1, 0];
  for (let at = start; at < bytes.length; at++) {
    const byte = bytes[at];
    if (byte === QUOTE) at = closingQuote(bytes, at);
    else if (isOpening(byte)) depth++;
    else if (isClosing(byte) && --depth < 0) return yield { start, end: at };
    else if (byte === COMMA && depth === 0 && at - start >= least) {
      yield { start, end: at };
      start = at + 1;
    }
  }
  throw cutOff();
}

function closingQuote(bytes: Uint8Array, open: number): number {
  for (let at = open + 1; at < bytes.length; at++) {
    if (bytes[at] === BACKSLASH) at++;
    else if (bytes[at] === QUOTE) return at;
  }
  throw cutOff();
}

const textOf = (bytes: Uint8Array, { start, end }: ByteRange): string =>
  new TextDecoder('utf-8', { fatal: true }).decode(bytes.subarray(start, end));

const skipBlank = (bytes: Uint8Array, at: number): number => {
  while (BLANK.includes(bytes[at])) at++;
  return at;
};

/**
 * Where the value of a member stands that is an object or array, brackets included.
 * @param open position of the opening bracket of the object.
 * @returns undefined where the object has no such member. @throws SyntaxError for what is no JSON.
 */
export function memberRange(bytes: Uint8Array, open: number, name: string): ByteRange | undefined {
  for (const item of itemRanges(bytes, open, 0)) {
    const quote = skipBlank(bytes, item.start);
    if (bytes[quote] !== QUOTE) continue;
    const end = closingQuote(bytes, quote) + 1;
    if (JSON.parse(textOf(bytes, { start: quote, end })) !== name) continue;
    const colon = skipBlank(bytes, end);
    const start = skipBlank(bytes, colon + 1);
    const isFound = bytes[colon] === COLON && isOpening(bytes[start]);
    return isFound ? { start, end: item.end } : undefined;
  }
  return undefined;
}

/** Values of the object or array in a range, each an object or array of some of its items. @throws SyntaxError. */
export function* parsePieces(bytes: Uint8Array, { start }: ByteRange): Generator<unknown> {
  const [open, close] = bytes[start] === OPEN_OBJECT ? '{}' : '[]';
  for (const items of itemRanges(bytes, start, PIECE_BYTES))
    yield JSON.parse(`${open}${textOf(bytes, items)}${close}`);
}

/** The text with `null` in place of what stands in these ranges. @param ranges in any order. */
export function textWithout(bytes: Uint8Array, ranges: readonly ByteRange[]): string {
  const inOrder = [...ranges].sort((a, b) => a.start - b.start);
  const starts = [0, ...inOrder.map(({ end }) => end)];
  const ends = [...inOrder.map(({ start }) => start), bytes.length];
  return starts.map((start, i) => textOf(bytes, { start, end: ends[i]! })).join('null');
}
