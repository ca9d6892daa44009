import { SpatialError } from '../errors.js';
import { isJsonObject } from '../json.js';
import type { SampleV1 } from '../spec.js';
import { fieldError, optionalStringField } from './fields.js';
import type { JsonLine } from './json-lines.js';
import { defineJsonLinesFormat, type FormatSettings } from './json-lines-format.js';
import { takeImagePlaceholders } from './placeholders.js';

/** One turn of a conversation. */
interface Turn {
  readonly role: 'system' | 'user' | 'assistant';
  readonly text: string;
}

interface Exchange {
  readonly question: string;
  /** Absent where only a question is there. */
  readonly answer?: string;
}

/**
 * What becomes of a conversation of several questions, which a sample cannot hold: `first` keeps the first question, `each` makes
 * a sample of each, without what was said before.
 */
const SETTINGS = { turns: ['first', 'each'] } as const;

const ROLES: Readonly<Record<string, Turn['role']>> = {
  system: 'system',
  user: 'user',
  human: 'user',
  assistant: 'assistant',
  gpt: 'assistant',
  bot: 'assistant',
};

const hasTurns = (value: unknown, role: string): boolean =>
  Array.isArray(value) && isJsonObject(value[0]) && role in value[0];

/**
 * Rows of LLaVA and of LLaMA-Factory (`sharegpt`): `conversations` of turns with `from` and `value`, `image` or `images`,
 * optionally `id` and `system`. `<image>` stands in front of the question.
 */
export const conversationsFormat = defineJsonLinesFormat({
  id: 'conversations',
  settings: SETTINGS,
  matches: (row) => hasTurns(row['conversations'] ?? row['conversation'], 'from'),
  images: imagePaths,
  sample: (row, images, _, settings) => {
    const name = 'conversations' in row.value ? 'conversations' : 'conversation';
    return samplesOf(row, images, readTurns(row, name, 'from', 'value'), settings);
  },
});

/**
 * Rows of ms-swift, of OpenAI's interface and of LLaMA-Factory with its tags: `messages` of turns with `role` and `content`, a text
 * or a list of texts and images, `images`, optionally `id` and `system`.
 */
export const messagesFormat = defineJsonLinesFormat({
  id: 'messages',
  settings: SETTINGS,
  matches: (row) => hasTurns(row['messages'], 'role'),
  images: imagePaths,
  sample: (row, images, _, settings) =>
    samplesOf(row, images, readTurns(row, 'messages', 'role', 'content'), settings),
});

/**
 * Rows of LLaMA-Factory (`alpaca`) and of ms-swift with a question and an answer: `instruction` and `input`, or `query`; `output` or
 * `response`; `images`, optionally `id`, `system` and `history`.
 */
export const instructionFormat = defineJsonLinesFormat({
  id: 'instruction',
  settings: SETTINGS,
  matches: (row) =>
    (('instruction' in row && 'output' in row) || ('query' in row && 'response' in row)) &&
    ('images' in row || 'image' in row),
  images: imagePaths,
  sample: (row, images, _, settings) => samplesOf(row, images, instructionTurns(row), settings),
});

/** Paths in `images` or `image`, and those that stand in the turns. */
function imagePaths(row: JsonLine): readonly string[] {
  for (const name of ['videos', 'video', 'audios', 'audio']) {
    const media = row.value[name];
    if (media !== undefined && media !== null && JSON.stringify(media) !== '[]')
      throw fieldError(row, name, 'images alone (extract the frames of a video)', media);
  }
  const named = ['images', 'image'].find((name) => (row.value[name] ?? undefined) !== undefined);
  const given = named === undefined ? inlineImages(row) : asList(row.value[named]);
  if (given.length === 0) throw fieldError(row, 'images', 'at least one image', given);
  return given.map((value, index) => imagePath(row, `${named ?? 'messages'}[${index}]`, value));
}

const asList = (value: unknown): readonly unknown[] => (Array.isArray(value) ? value : [value]);

/** Images that are parts of a message's content. */
function inlineImages({ value }: JsonLine): readonly unknown[] {
  const messages = Array.isArray(value['messages']) ? value['messages'].filter(isJsonObject) : [];
  const parts = messages.flatMap(({ content }) => (Array.isArray(content) ? content : []));
  return parts.filter(isJsonObject).flatMap((part) => {
    if (part['type'] === 'image') return [part['image'] ?? part['path'] ?? part['url']];
    if (part['type'] === 'image_url') return [part['image_url']];
    return [];
  });
}

function imagePath(row: JsonLine, name: string, value: unknown): string {
  const path = isJsonObject(value) ? (value['path'] ?? value['url']) : value;
  if (typeof path !== 'string' || path === '') throw fieldError(row, name, 'a path', value);
  const file = path.replace(/^file:\/\//, '');
  if (/^(https?|data|s3|oss):/i.test(file))
    throw fieldError(row, name, 'the path of a file (nothing is downloaded)', file);
  return file;
}

// ---------------------------------------------------------------------------------------------- turns

function readTurns(row: JsonLine, name: string, roleKey: string, textKey: string): readonly Turn[] {
  const turns = row.value[name];
  if (!Array.isArray(turns)) throw fieldError(row, name, 'a list of turns', turns);
  return turns.map((turn: unknown, index) => {
    const where = `${name}[${index}]`;
    if (!isJsonObject(turn)) throw fieldError(row, where, 'an object', turn);
    const role = ROLES[String(turn[roleKey])];
    if (role === undefined)
      throw fieldError(row, `${where}.${roleKey}`, Object.keys(ROLES).join(', '), turn[roleKey]);
    return { role, text: turnText(row, `${where}.${textKey}`, turn[textKey]) };
  });
}

function turnText(row: JsonLine, where: string, content: unknown): string {
  if (typeof content === 'string') return content;
  if (!Array.isArray(content)) throw fieldError(row, where, 'a text or a list of parts', content);
  return content.map((part: unknown, index) => partText(row, `${where}[${index}]`, part)).join('');
}

function partText(row: JsonLine, where: string, part: unknown): string {
  const { type, text } = isJsonObject(part) ? part : {};
  if (type === 'text' && typeof text === 'string') return text;
  if (type === 'image' || type === 'image_url') return '<image>';
  throw fieldError(row, where, 'a part of type text or image', part);
}

function instructionTurns(row: JsonLine): readonly Turn[] {
  const { history } = row.value;
  const before = Array.isArray(history) ? history : [];
  const text = (name: string) => optionalText(row, name);
  const question = [text('instruction'), text('input'), text('query')].filter((part) => part);
  const answer = text('output') ?? text('response');
  return [
    ...before.flatMap((pair: unknown, index) => historyTurns(row, `history[${index}]`, pair)),
    { role: 'user', text: question.join('\n') },
    ...(answer === undefined ? [] : [{ role: 'assistant' as const, text: answer }]),
  ];
}

function historyTurns(row: JsonLine, where: string, pair: unknown): readonly Turn[] {
  const [question, answer] = Array.isArray(pair) ? pair : [];
  if (typeof question !== 'string' || typeof answer !== 'string')
    throw fieldError(row, where, 'a question and an answer', pair);
  return [
    { role: 'user', text: question },
    { role: 'assistant', text: answer },
  ];
}

/** An empty text counts as absent, as in both toolkits. */
function optionalText(row: JsonLine, name: string): string | undefined {
  const value = row.value[name];
  if (value === undefined || value === null || value === '') return undefined;
  if (typeof value === 'string') return value;
  throw fieldError(row, name, 'a string', value);
}

// ---------------------------------------------------------------------------------------------- samples

function samplesOf(
  row: JsonLine,
  images: readonly string[],
  turns: readonly Turn[],
  { turns: choice }: FormatSettings,
): readonly SampleV1[] {
  const system = turns[0]?.role === 'system' ? turns[0].text : optionalText(row, 'system');
  const exchanges = pairTurns(row, turns[0]?.role === 'system' ? turns.slice(1) : turns);
  if (exchanges.length > 1 && choice === undefined) throw severalQuestions(row, exchanges.length);
  const id = rowId(row);
  const kept = choice === 'each' ? exchanges : exchanges.slice(0, 1);
  return kept.map(({ question, answer }, index) => ({
    id: kept.length > 1 ? `${id}#${index + 1}` : id,
    images,
    question: takeImagePlaceholders(`${row.place}: question`, question, images.length),
    ...(answer !== undefined && { answer }),
    ...(system !== undefined && system !== '' && { system }),
    ...category(row),
  }));
}

/** Questions and answers by turns; the last question may be without one. */
function pairTurns(row: JsonLine, turns: readonly Turn[]): readonly Exchange[] {
  const exchanges: Exchange[] = [];
  for (const [index, { role, text }] of turns.entries()) {
    const expected = index % 2 === 0 ? 'user' : 'assistant';
    if (role !== expected)
      throw fieldError(row, `turn ${index + 1}`, `one of the ${expected}`, role);
    if (role === 'user') exchanges.push({ question: text });
    else exchanges.push({ question: exchanges.pop()!.question, answer: text });
  }
  if (exchanges.length === 0) throw fieldError(row, 'turns', 'a question', turns);
  return exchanges;
}

const severalQuestions = (row: JsonLine, found: number): SpatialError =>
  new SpatialError({
    code: 'DATA_INVALID',
    message: `${row.place}: expected one question and its answer, found a conversation of ${found}`,
    hint: 'Choose with `settings: { turns: first }`, or `turns: each` for a sample of each question without what was said before.',
  });

function rowId(row: JsonLine): string {
  const id = row.value['id'];
  return typeof id === 'string' || typeof id === 'number' ? String(id) : `line-${row.line}`;
}

function category(row: JsonLine): { readonly category?: string } {
  const found = optionalStringField(row, 'category');
  return found === undefined ? {} : { category: found };
}
