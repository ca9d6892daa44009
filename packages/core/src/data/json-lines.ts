import { createReadStream } from 'node:fs';
import { stat } from 'node:fs/promises';
import { createInterface } from 'node:readline';
import { SpatialError } from '../errors.js';

/** One parsed line of a JSON Lines file, with where it stands. */
export interface JsonLine {
  readonly value: Readonly<Record<string, unknown>>;
  /** 1-based. */
  readonly line: number;
  /** `file:line`, for messages. */
  readonly place: string;
}

/**
 * Reads a JSON Lines file object by object; blank lines are skipped.
 * @throws SpatialError FILE_MISSING, or DATA_INVALID naming file and line.
 */
export async function* readJsonLines(path: string): AsyncGenerator<JsonLine> {
  await requireFile(path);
  const lines = createInterface({
    input: createReadStream(path, 'utf8'),
    crlfDelay: Number.POSITIVE_INFINITY,
  });
  let line = 0;
  for await (const text of lines) {
    line += 1;
    if (text.trim() !== '') yield parseLine(text, line, `${path}:${line}`);
  }
}

/** @throws SpatialError FILE_MISSING unless `path` is a file that can be read. */
export async function requireFile(path: string): Promise<void> {
  const found = await stat(path).catch(() => undefined);
  if (found?.isFile()) return;
  throw new SpatialError({
    code: 'FILE_MISSING',
    message: `${path}: expected a file, found ${found === undefined ? 'nothing' : 'a folder'}`,
    hint: 'Check the path; relative paths are read from the folder of the file that names them.',
  });
}

function parseLine(text: string, line: number, place: string): JsonLine {
  try {
    const value: unknown = JSON.parse(text);
    if (typeof value === 'object' && value !== null && !Array.isArray(value)) {
      return { value: value as Record<string, unknown>, line, place };
    }
  } catch (cause) {
    throw invalid(place, `not valid JSON (${(cause as Error).message})`, cause);
  }
  throw invalid(place, 'expected a JSON object');
}

function invalid(place: string, what: string, cause?: unknown): SpatialError {
  return new SpatialError({
    code: 'DATA_INVALID',
    message: `${place}: ${what}`,
    hint: 'Each line must be one JSON object. Correct or delete this line.',
    cause,
  });
}
