/**
 * Lists every error text of the product, to be read from the point of view of somebody who has never seen its code: code, message,
 * hint, and where it is written. Texts that a function takes as arguments are listed where it is called.
 *
 *   node scripts/error-texts.mjs            # one block for each text
 *   node scripts/error-texts.mjs --json     # the same as JSON
 *   node scripts/error-texts.mjs core data  # only files whose path holds these words
 */
import { readdirSync, readFileSync } from 'node:fs';
import { relative } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseSync } from '@swc/core';
import { readArguments } from './arguments.mjs';

const root = fileURLToPath(new URL('..', import.meta.url));
const NOT_OF_THE_PRODUCT = /\.spec\.ts$|__fixtures__|\/(testing|bench)\//;

/** Members that make an object an error, or a finding. */
const TEXTS = ['message', 'what', 'where', 'expected', 'found', 'hint'];
const isErrorText = (members) =>
  'hint' in members && ('message' in members || ('what' in members && 'severity' in members));

/** Every node of a tree, with the functions around it. */
function* nodesOf(node, functions = []) {
  if (Array.isArray(node)) for (const each of node) yield* nodesOf(each, functions);
  if (typeof node !== 'object' || node === null || Array.isArray(node)) return;
  const name = functionName(node);
  const around = name === undefined ? functions : [...functions, name];
  if (typeof node.type === 'string') yield { node, functions: around };
  for (const value of Object.values(node)) yield* nodesOf(value, around);
}

function functionName(node) {
  if (node.type === 'FunctionDeclaration') return node.identifier.value;
  const isArrow =
    node.type === 'VariableDeclarator' && node.init?.type === 'ArrowFunctionExpression';
  return isArrow ? node.id.value : undefined;
}

/** Source of nodes. The parser counts bytes over all files; the first token of each, a semicolon, tells where it begins. */
function parse(file) {
  const source = Buffer.from(`;${readFileSync(file, 'utf8').replace(/^#!/, '//')}`);
  const tree = parseSync(source.toString(), { syntax: 'typescript', target: 'es2022' });
  const base = tree.span.start;
  const textOf = ({ span }) => source.toString('utf8', span.start - base, span.end - base);
  const lineOf = ({ span }) => source.toString('utf8', 0, span.start - base).split('\n').length;
  return { tree, textOf, lineOf };
}

/** Text as a reader sees it: without quotes and line ends. */
const shown = (text) =>
  text
    .replace(/\s*\n\s*/g, ' ')
    .replace(/^(['"`])(.*)\1$/s, '$2')
    .trim();

function membersOf(node, textOf) {
  const members = {};
  for (const property of node.properties) {
    if (property.type === 'KeyValueProperty') members[property.key.value] = textOf(property.value);
    if (property.type === 'Identifier') members[property.value] = property.value;
  }
  return members;
}

function textsOf(file) {
  const { tree, textOf, lineOf } = parse(file);
  const nodes = [...nodesOf(tree.body)];
  const place = (node) => `${relative(root, file)}:${lineOf(node)}`;
  const texts = [];
  const makers = new Set();
  for (const { node, functions } of nodes) {
    if (node.type !== 'ObjectExpression') continue;
    const members = membersOf(node, textOf);
    if (!isErrorText(members)) continue;
    if (functions.length > 0) makers.add(functions.at(-1));
    const parts = TEXTS.filter((name) => name in members);
    const text = Object.fromEntries(parts.map((name) => [name, shown(members[name])]));
    texts.push({ place: place(node), code: shown(members.code ?? ''), ...text });
  }
  for (const { node } of nodes) {
    const name = node.type === 'CallExpression' ? node.callee.value : undefined;
    if (!makers.has(name)) continue;
    const given = node.arguments.map(({ expression }) => textOf(expression));
    if (given.some((text) => /^[`'"]/.test(text)))
      texts.push({ place: place(node), via: name, texts: given.map(shown) });
  }
  return texts;
}

const { values, positionals: words } = readArguments(
  import.meta.url,
  { json: { type: 'boolean' } },
  Number.POSITIVE_INFINITY,
);
const files = readdirSync(`${root}/packages`, { recursive: true, encoding: 'utf8' })
  .map((file) => `packages/${file.replaceAll('\\', '/')}`)
  .filter((file) => /^packages\/[^/]+\/src\/.*\.ts$/.test(file))
  .filter((file) => !NOT_OF_THE_PRODUCT.test(file) && words.every((word) => file.includes(word)))
  .sort();
const all = files.flatMap((file) => textsOf(`${root}/${file}`));
if (values.json) console.log(JSON.stringify(all, null, 1));
else {
  for (const { place, code, via, texts, ...parts } of all) {
    console.log(via === undefined ? `${place}  ${code}` : `${place}  ${via}()`);
    for (const [name, text] of Object.entries(parts)) console.log(`  ${name}: ${text}`);
    if (texts !== undefined) console.log(`  ${texts.join(' | ')}`);
  }
  console.log(
    `\n${all.length} texts in ${new Set(all.map(({ place }) => place.split(':')[0])).size} files`,
  );
}
