import { closeSync, openSync, readSync, statSync } from 'node:fs';

/** Messages of onnx.proto3 in which external data can be named, and the numbers of the fields that lead there. */
const CHILDREN = {
  model: { 7: 'graph', 25: 'function' },
  graph: { 1: 'node', 5: 'tensor', 15: 'sparse' },
  function: { 7: 'node' },
  node: { 5: 'attribute' },
  attribute: { 5: 'tensor', 6: 'graph', 10: 'tensor', 11: 'graph', 22: 'sparse', 23: 'sparse' },
  sparse: { 1: 'tensor', 2: 'tensor' },
  tensor: { 13: 'entry' },
  entry: {},
} as const satisfies Record<string, Record<number, string>>;
type Message = keyof typeof CHILDREN;

const WIRE = { varint: 0, fixed64: 1, bytes: 2, fixed32: 5 } as const;
const KEY = 1;
const VALUE = 2;

/**
 * Names of the files beside a model that hold its weights, as the model writes them, each once and sorted. Weights
 * inside the model are skipped, not read.
 * @throws Error when the file is no protobuf message, or ends too early.
 */
export function externalLocations(file: string): string[] {
  const bytes = new FileBytes(file);
  try {
    const found = new Set<string>();
    collect(bytes, 'model', 0, bytes.length, found);
    return [...found].sort();
  } finally {
    bytes.close();
  }
}

function collect(
  bytes: FileBytes,
  message: Message,
  start: number,
  end: number,
  found: Set<string>,
): void {
  const texts = new Map<number, string>();
  const children: Readonly<Record<number, Message>> = CHILDREN[message];
  for (let position = start; position < end; ) {
    const field = readField(bytes, position, end);
    position = field.end;
    if (field.wire !== WIRE.bytes) continue;
    const child = children[field.number];
    if (child !== undefined) collect(bytes, child, field.start, field.end, found);
    else if (message === 'entry') texts.set(field.number, bytes.text(field.start, field.end));
  }
  const location = texts.get(VALUE);
  if (texts.get(KEY) === 'location' && location !== undefined) found.add(location);
}

interface Field {
  readonly number: number;
  readonly wire: number;
  /** Of the content. */
  readonly start: number;
  readonly end: number;
}

function readField(bytes: FileBytes, position: number, limit: number): Field {
  const tag = readVarint(bytes, position);
  const number = Math.floor(tag.value / 8);
  const wire = tag.value % 8;
  const { start, end } = contentOf(bytes, wire, tag.end);
  if (end > limit || number === 0) throw new Error(`no protobuf message at byte ${position}`);
  return { number, wire, start, end };
}

function contentOf(bytes: FileBytes, wire: number, start: number): { start: number; end: number } {
  if (wire === WIRE.varint) return { start, end: readVarint(bytes, start).end };
  if (wire === WIRE.fixed64) return { start, end: start + 8 };
  if (wire === WIRE.fixed32) return { start, end: start + 4 };
  if (wire !== WIRE.bytes) throw new Error(`unknown wire type ${wire} at byte ${start}`);
  const length = readVarint(bytes, start);
  return { start: length.end, end: length.end + length.value };
}

const MAX_VARINT_BYTES = 10;

function readVarint(bytes: FileBytes, start: number): { value: number; end: number } {
  let value = 0;
  for (let i = 0; i < MAX_VARINT_BYTES; i++) {
    const byte = bytes.at(start + i);
    value += (byte & 0x7f) * 2 ** (7 * i);
    if (byte < 0x80) return { value, end: start + i + 1 };
  }
  throw new Error(`no number at byte ${start}`);
}

const WINDOW_BYTES = 1 << 16;

/** Bytes of a file by position, through a window: models of gigabytes are mostly skipped. */
class FileBytes {
  readonly length: number;
  readonly #descriptor: number;
  readonly #window = Buffer.alloc(WINDOW_BYTES);
  #start = 0;
  #filled = 0;

  constructor(file: string) {
    this.length = statSync(file).size;
    this.#descriptor = openSync(file, 'r');
  }

  at(position: number): number {
    const index = position - this.#start;
    if (index >= 0 && index < this.#filled) return this.#window[index]!;
    this.#start = position;
    this.#filled = readSync(this.#descriptor, this.#window, 0, WINDOW_BYTES, position);
    if (this.#filled === 0) throw new Error(`the file ends at byte ${position}`);
    return this.#window[0]!;
  }

  text(start: number, end: number): string {
    const bytes = Buffer.alloc(end - start);
    readSync(this.#descriptor, bytes, 0, bytes.length, start);
    return bytes.toString('utf8');
  }

  close(): void {
    closeSync(this.#descriptor);
  }
}
