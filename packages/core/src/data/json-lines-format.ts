import { resolve } from 'node:path';
import { SpatialError } from '../errors.js';
import { nearestName } from '../nearest-name.js';
import type { DatasetFormatV1, DatasetReadOptionsV1, SampleV1 } from '../spec.js';
import { findImageRoot } from './image-root.js';
import { type JsonLine, readJsonLines } from './json-lines.js';

/** What tells one JSON Lines format from another. */
export interface JsonLinesFormat {
  readonly id: string;
  /** Whether the first row of a file is one of this format. */
  matches(row: Readonly<Record<string, unknown>>): boolean;
  /** Image paths as the row writes them, at least one. @throws SpatialError DATA_INVALID. */
  images(row: JsonLine): readonly string[];
  /**
   * @param images absolute paths of the row's images.
   * @param prompt wording of the questions, one of `prompts`; undefined for the usual one.
   * @throws SpatialError DATA_INVALID.
   */
  sample(row: JsonLine, images: readonly string[], prompt: string | undefined): SampleV1;
  /** Wordings of the questions that a user can choose from; none where absent. */
  readonly prompts?: readonly string[];
}

/**
 * A data set format of one JSON object a line: image paths are relative to the image root, and errors name file and line.
 * It has no settings.
 */
export const defineJsonLinesFormat = (format: JsonLinesFormat): DatasetFormatV1 => ({
  specificationVersion: 'v1',
  kind: 'dataset-format',
  id: format.id,
  detect: async (file) => {
    const row = await firstRow(file);
    return row !== undefined && format.matches(row.value);
  },
  read: (file, options = {}) => readSamples(format, file, options),
});

async function* readSamples(
  format: JsonLinesFormat,
  file: string,
  options: DatasetReadOptionsV1,
): AsyncGenerator<SampleV1> {
  checkOptions(format, options);
  let root = options.imageRoot;
  for await (const row of readJsonLines(file)) {
    const images = format.images(row);
    root ??= await findImageRoot(file, images[0]!);
    const folder = root;
    const absolute = images.map((image) => resolve(folder, image));
    yield format.sample(row, absolute, options.prompt);
  }
}

/** First row of a file; undefined where there is none, or none that can be read. */
async function firstRow(file: string): Promise<JsonLine | undefined> {
  try {
    for await (const row of readJsonLines(file)) return row;
  } catch (error) {
    if (!SpatialError.isInstance(error)) throw error;
  }
  return undefined;
}

function checkOptions(
  { id, prompts = [] }: JsonLinesFormat,
  { prompt, settings = {} }: DatasetReadOptionsV1,
): void {
  if (prompt !== undefined && !prompts.includes(prompt)) {
    const known = prompts.length === 0 ? 'no prompts' : prompts.join(' or ');
    const nearest = nearestName(prompts, prompt);
    throw invalidOption(
      `data set format ${id}: prompt: expected ${known}, found "${prompt}"`,
      nearest === undefined ? 'Leave `prompt` out.' : `Did you mean "${nearest}"?`,
    );
  }
  const [setting] = Object.keys(settings);
  if (setting === undefined) return;
  throw invalidOption(
    `data set format ${id}: expected no settings, found "${setting}"`,
    'Leave `settings` out.',
  );
}

const invalidOption = (message: string, hint: string): SpatialError =>
  new SpatialError({ code: 'CONFIG_INVALID', message, hint });
