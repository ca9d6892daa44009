import { createReadStream } from 'node:fs';
import { SpatialError } from '../errors.js';
import { fileKind, KIND_BYTES, UNKNOWN_KIND } from '../file-kind.js';
import { resolveFile } from '../files.js';

const PATH_HINT =
  'Check the path; relative paths are read from the folder of the file that names them.';

/**
 * Text of a file in pieces: UTF-8, with or without a byte order mark, or UTF-16.
 * @throws SpatialError FILE_MISSING; DATA_INVALID for a file that is no text, by the name of what it is, and for bytes that are
 *   none in its encoding, with the line.
 */
export async function* decodeText(path: string): AsyncGenerator<string> {
  await resolveFile(path, PATH_HINT);
  let decoder: TextPieces | undefined;
  for await (const bytes of createReadStream(path) as AsyncIterable<Buffer>) {
    decoder ??= new TextPieces(path, encodingOf(path, bytes));
    yield decoder.next(bytes);
  }
  if (decoder !== undefined) yield decoder.next(Buffer.alloc(0), true);
}

type Encoding = 'utf-8' | 'utf-16le' | 'utf-16be';

/** By the byte order mark; without one by the zero beside the first letter, which is ASCII in every JSON file. */
function encodingOf(path: string, head: Buffer): Encoding {
  const [first, second] = head;
  const { name, hint } = fileKind(head.subarray(0, KIND_BYTES));
  if (name === 'a text file' || name === UNKNOWN_KIND) {
    if ((first === 0xff && second === 0xfe) || (first !== 0 && second === 0)) return 'utf-16le';
    if ((first === 0xfe && second === 0xff) || (first === 0 && second !== 0)) return 'utf-16be';
    // Other encodings than these are told by the line where they begin.
    return 'utf-8';
  }
  throw new SpatialError({
    code: 'DATA_INVALID',
    message: `${path}: expected rows as JSON text, found ${name}`,
    hint: hint ?? 'Write one JSON object a line; docs/datasets.md lists the fields of each format.',
  });
}

/** Longest character of an encoding, bytes. */
const LONGEST = 4;

class TextPieces {
  readonly #path: string;
  readonly #encoding: Encoding;
  readonly #decoder: InstanceType<typeof TextDecoder>;
  /** Last bytes of the piece before: a character may begin there. */
  #before: Buffer = Buffer.alloc(0);
  #line = 1;

  constructor(path: string, encoding: Encoding) {
    this.#path = path;
    this.#encoding = encoding;
    this.#decoder = new TextDecoder(encoding, { fatal: true });
  }

  next(bytes: Buffer, isLast = false): string {
    let text: string;
    try {
      text = this.#decoder.decode(bytes, { stream: !isLast });
    } catch (cause) {
      throw this.#invalid(bytes, cause);
    }
    this.#before = bytes.subarray(-LONGEST);
    this.#line += count(text, '\n');
    return text;
  }

  #invalid(bytes: Buffer, cause: unknown): SpatialError {
    const shown = new TextDecoder(this.#encoding).decode(Buffer.concat([this.#before, bytes]));
    const line = this.#line + count(shown.slice(0, shown.indexOf('\ufffd', LONGEST)), '\n');
    const name = this.#encoding.toUpperCase();
    return new SpatialError({
      code: 'DATA_INVALID',
      message: `${this.#path}:${line}: expected ${name} text, found bytes that are none`,
      hint: 'Convert the file to UTF-8, for example `iconv -f WINDOWS-1252 -t UTF-8 IN > OUT`.',
      cause,
    });
  }
}

function count(text: string, character: string): number {
  let found = 0;
  for (let at = text.indexOf(character); at >= 0; at = text.indexOf(character, at + 1)) found++;
  return found;
}
