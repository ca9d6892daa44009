import { resolve } from 'node:path';
import { SpatialError } from '../errors.js';
import { nearestName } from '../nearest-name.js';
import { expandHome } from '../paths.js';
import type { DatasetFormatV1, DatasetReadOptionsV1, SampleV1 } from '../spec.js';
import { findImageRoot, locateImage, requireBelow } from './image-paths.js';
import { type JsonLine, readJsonLines } from './json-lines.js';

/** Chosen values of a format's settings, by name. */
export type FormatSettings = Readonly<Record<string, string | undefined>>;

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
   * @param settings those of `settings` that the user has chosen.
   * @returns a sample, or several where a row holds them.
   * @throws SpatialError DATA_INVALID.
   */
  sample(
    row: JsonLine,
    images: readonly string[],
    prompt: string | undefined,
    settings: FormatSettings,
  ): SampleV1 | readonly SampleV1[];
  /** Wordings of the questions that a user can choose from; none where absent. */
  readonly prompts?: readonly string[];
  /** Values that each setting of the format may have; none where absent. */
  readonly settings?: Readonly<Record<string, readonly string[]>>;
}

/**
 * A data set format of JSON objects, one a line or in a list: image paths are relative to the image root and stay below it, and
 * errors name file and line.
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
  const settings = checkOptions(format, options);
  const { onProblem, prompt, imageRoot } = options;
  let root = imageRoot === undefined ? undefined : resolve(expandHome(imageRoot));
  for await (const row of readJsonLines(file, onProblem)) {
    try {
      const names = format.images(row);
      root ??= await findImageRoot(file, names[0]!);
      const images = await locateImages(root, names, row.place);
      const made = format.sample(row, images, prompt, settings);
      if (isList(made)) yield* made;
      else yield made;
    } catch (error) {
      if (onProblem === undefined || !SpatialError.isInstance(error)) throw error;
      onProblem(error);
    }
  }
}

const isList = (made: SampleV1 | readonly SampleV1[]): made is readonly SampleV1[] =>
  Array.isArray(made);

async function locateImages(
  root: string,
  names: readonly string[],
  place: string,
): Promise<readonly string[]> {
  const images: string[] = [];
  for (const name of names) {
    const image = await locateImage(root, name);
    requireBelow(root, image, place);
    images.push(image);
  }
  return images;
}

/** First row of a file; undefined where there is none, or none that can be read. */
async function firstRow(file: string): Promise<JsonLine | undefined> {
  try {
    // A row that is broken says nothing of the others.
    for await (const row of readJsonLines(file, () => undefined)) return row;
  } catch (error) {
    if (!SpatialError.isInstance(error)) throw error;
  }
  return undefined;
}

function checkOptions(
  { id, prompts = [], settings: known = {} }: JsonLinesFormat,
  { prompt, settings = {} }: DatasetReadOptionsV1,
): FormatSettings {
  if (prompt !== undefined) requireOneOf(`data set format ${id}: prompt`, prompts, prompt);
  const names = Object.keys(known);
  for (const [name, value] of Object.entries(settings)) {
    requireOneOf(`data set format ${id}: settings`, names, name);
    requireOneOf(`data set format ${id}: settings.${name}`, known[name]!, value);
  }
  return settings as FormatSettings;
}

/** @throws SpatialError CONFIG_INVALID. */
function requireOneOf(where: string, known: readonly string[], found: unknown): void {
  if (known.includes(found as string)) return;
  const nearest = nearestName(known, String(found));
  const expected = known.length === 0 ? 'none' : known.join(' or ');
  throw new SpatialError({
    code: 'CONFIG_INVALID',
    message: `${where}: expected ${expected}, found ${JSON.stringify(found)}`,
    hint:
      nearest !== undefined
        ? `Did you mean "${nearest}"?`
        : 'Choose one of these, or leave it out.',
  });
}
