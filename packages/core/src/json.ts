import { type ParseError, parse, visit } from 'jsonc-parser';

/**
 * First key that occurs twice in one object of a valid JSON text. `JSON.parse` keeps the last of them without a word,
 * so two readers of one file could disagree about it.
 */
export const findDuplicateKey = (text: string): string | undefined => {
  const objects: Set<string>[] = [];
  let duplicate: string | undefined;
  visit(text, {
    onObjectBegin: () => {
      objects.push(new Set());
    },
    onObjectProperty: (key) => {
      const keys = objects.at(-1)!;
      if (keys.has(key)) duplicate ??= key;
      keys.add(key);
    },
    onObjectEnd: () => {
      objects.pop();
    },
  });
  return duplicate;
};

export type JsonObject = Readonly<Record<string, unknown>>;

export const isJsonObject = (value: unknown): value is JsonObject =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

/** Deepest nesting of brackets that is parsed; files of models and data have fewer than ten. */
const MAX_DEPTH = 100;

/**
 * Parses JSON text of a stranger. Messages say where and never what is written there.
 * @throws SyntaxError for what is not JSON, and for brackets that are nested too deeply for what comes after parsing.
 */
export const parseJsonText = (text: string): unknown => {
  const tooDeep = findDepth(text, MAX_DEPTH);
  if (tooDeep !== undefined)
    throw new SyntaxError(
      `brackets more than ${MAX_DEPTH} deep at ${lineAndColumn(text, tooDeep)}`,
    );
  try {
    return JSON.parse(text);
  } catch (cause) {
    throw new SyntaxError(jsonProblem(text), { cause });
  }
};

const jsonProblem = (text: string): string => {
  if (text.trim() === '') return 'an empty file';
  const errors: ParseError[] = [];
  parse(text, errors, { disallowComments: true });
  const offset = errors[0]?.offset;
  if (offset === undefined) return 'no JSON';
  return offset >= text.trimEnd().length
    ? 'JSON that is cut off'
    : `no JSON from ${lineAndColumn(text, offset)} on`;
};

const lineAndColumn = (text: string, position: number): string => {
  const before = text.slice(0, position).split('\n');
  return `line ${before.length}, column ${before.at(-1)!.length + 1}`;
};

const [QUOTE, BACKSLASH] = [0x22, 0x5c];
const isOpening = (character: number): boolean => character === 0x5b || character === 0x7b;
const isClosing = (character: number): boolean => character === 0x5d || character === 0x7d;

/** Where brackets outside of strings are first nested more deeply than `limit`. */
const findDepth = (text: string, limit: number): number | undefined => {
  let depth = 0;
  let isString = false;
  for (let at = 0; at < text.length; at++) {
    const character = text.charCodeAt(at);
    if (character === QUOTE) isString = !isString;
    else if (isString && character === BACKSLASH) at++;
    else if (!isString && isOpening(character) && ++depth > limit) return at;
    else if (!isString && isClosing(character)) depth--;
  }
  return undefined;
};
