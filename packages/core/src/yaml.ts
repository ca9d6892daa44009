/** YAML of a user's configurations and options: bounded, without what only an attack or a slip would write. */
import {
  type Alias,
  type Document,
  isAlias,
  isCollection,
  isPair,
  isScalar,
  LineCounter,
  parseDocument,
  visit,
} from 'yaml';
import { SpatialError } from './errors.js';

/** A parsed text, and where its parts stand. */
export interface YamlText {
  readonly document: Document.Parsed;
  /** Plain value; undefined for an empty text. */
  readonly value: unknown;
  /** Line of a character, counted from 1. */
  lineOf(offset: number): number;
}

/** Characters of a text; a configuration has a few thousand. */
const MAX_CHARACTERS = 1 << 18;

/** Values after every alias is written out. */
const MAX_VALUES = 100_000;

/** Each is looked for in the whole text. */
const MAX_ALIASES = 1000;

const MAX_DEPTH = 100;

/**
 * Parses YAML.
 * @param where what the text is, for messages: `<where>:<line>`.
 * @throws SpatialError CONFIG_INVALID, naming the line, for broken YAML and unknown tags, for a text that is too long or nested too
 *   deeply, aliases that repeat too much or themselves, and a key `__proto__`.
 */
export function readYaml(text: string, where: string): YamlText {
  if (text.length > MAX_CHARACTERS)
    throw invalid(where, `expected at most ${MAX_CHARACTERS} characters, found ${text.length}`);
  const lines = new LineCounter();
  const lineOf = (offset: number) => lines.linePos(offset).line;
  const refuse = (offset: number, problem: string): never => {
    throw invalid(`${where}:${lineOf(offset)}`, problem);
  };
  const deep = tooDeep(text);
  if (deep !== undefined)
    throw invalid(`${where}:${lineAt(text, deep)}`, `brackets more than ${MAX_DEPTH} deep`);
  const document = parseDocument(text, { lineCounter: lines, prettyErrors: false });
  const broken = document.errors[0] ?? document.warnings[0];
  if (broken !== undefined) refuse(broken.pos[0], broken.message);
  refuseKeys(document, refuse);
  refuseAliases(document, refuse);
  return { document, value: document.toJS({ maxAliasCount: -1 }) ?? undefined, lineOf };
}

const invalid = (place: string, problem: string): SpatialError =>
  new SpatialError({
    code: 'CONFIG_INVALID',
    message: `${place}: ${problem}`,
    hint: 'Correct the YAML at this line; indentation is by spaces and lists start with -.',
  });

type Refuse = (offset: number, problem: string) => never;

const lineAt = (text: string, offset: number): number => text.slice(0, offset).split('\n').length;

/** Where flow brackets, or dashes of nested lists in one line, first go too deep for a parser that calls itself. */
function tooDeep(text: string): number | undefined {
  let depth = 0;
  for (let at = 0; at < text.length; at++) {
    const character = text[at]!;
    if (character === '[' || character === '{') depth++;
    else if ((character === ']' || character === '}') && depth > 0) depth--;
    if (depth > MAX_DEPTH) return at;
  }
  const dashes = new RegExp(`(?:- ){${MAX_DEPTH}}`).exec(text)?.index;
  const columns = text.split('\n').findIndex((line) => /^ */.exec(line)![0].length > 4 * MAX_DEPTH);
  if (dashes !== undefined) return dashes;
  return columns < 0 ? undefined : text.split('\n').slice(0, columns).join('\n').length + 1;
}

/** A key of this name is the prototype of an object where it is assigned, and lost where it is copied. */
function refuseKeys(document: Document, refuse: Refuse): void {
  visit(document, {
    Pair: (_, { key }) => {
      if (isScalar(key) && key.value === '__proto__')
        refuse(key.range?.[0] ?? 0, "unknown key '__proto__'");
    },
  });
}

/** The node that each alias repeats: the last before it with that anchor. */
function aliasTargets(document: Document): ReadonlyMap<Alias, unknown> {
  const anchors = new Map<string, unknown>();
  const targets = new Map<Alias, unknown>();
  visit(document, {
    Node: (_, node) => {
      if (isAlias(node)) targets.set(node, anchors.get(node.source));
      else if (node.anchor !== undefined) anchors.set(node.anchor, node);
    },
  });
  return targets;
}

/** Compares the number of values that each alias stands for, when all are written out. */
function refuseAliases(document: Document, refuse: Refuse): void {
  const targets = aliasTargets(document);
  if (targets.size > MAX_ALIASES)
    refuse(0, `expected at most ${MAX_ALIASES} aliases, found ${targets.size}`);
  const sizes = new Map<unknown, number>();
  const refuseAlias = (alias: Alias, what: string) =>
    refuse(alias.range?.[0] ?? 0, `the alias *${alias.source} ${what}`);
  const sizeOf = (node: unknown): number => {
    const known = sizes.get(node);
    if (known !== undefined) return known;
    sizes.set(node, Number.POSITIVE_INFINITY);
    const size = 1 + partsOf(node, targets).reduce<number>((sum, part) => sum + sizeOf(part), 0);
    sizes.set(node, size);
    if (!isAlias(node)) return size;
    if (targets.get(node) === undefined) refuseAlias(node, 'has no anchor before it');
    if (size === Number.POSITIVE_INFINITY) refuseAlias(node, 'holds itself');
    if (size > MAX_VALUES) refuseAlias(node, `stands for more than ${MAX_VALUES} values`);
    return size;
  };
  if (sizeOf(document.contents) > MAX_VALUES)
    refuse(0, `the text stands for more than ${MAX_VALUES} values`);
}

function partsOf(node: unknown, targets: ReadonlyMap<Alias, unknown>): readonly unknown[] {
  if (isAlias(node)) return [targets.get(node)];
  if (isPair(node)) return [node.key, node.value];
  return isCollection(node) ? node.items : [];
}
