import { isAbsolute } from 'node:path';
import { builtInContributions } from '../built-in.js';
import { SpatialError } from '../errors.js';
import type { DatasetFormatV1, SampleV1 } from '../spec.js';
import { isFile } from './image-paths.js';
import { type ProblemListener, tolerate } from './json-lines.js';
import { requireNoPlaceholder } from './placeholders.js';
import { PLAIN_FORMAT_ID } from './plain.js';

export interface DatasetRequest {
  readonly path: string;
  /** Id of the format; found out from the file where absent. */
  readonly format?: string | undefined;
  /** Folder that image paths are relative to; found beside or above the file where absent. */
  readonly imageRoot?: string | undefined;
  /** Wording of the questions, where the format knows several. */
  readonly prompt?: string | undefined;
  /** Settings of the format itself. */
  readonly settings?: Readonly<Record<string, unknown>> | undefined;
  /** Keep only the first so many samples. */
  readonly limit?: number | undefined;
  /** Whether every image has to be there. Default true. */
  readonly checkImages?: boolean | undefined;
  /** Told of each row that cannot be read or lacks an image, which is then left out; the first one is thrown where absent. */
  readonly onProblem?: ProblemListener | undefined;
}

/** Where formats are found; a plugin registry is one. */
export interface DatasetFormats {
  resolveDatasetFormat(id: string): DatasetFormatV1;
  datasetFormats(): readonly DatasetFormatV1[];
}

/**
 * Reads a data set and checks that every image is there, unless it is told not to.
 * @param formats those of core where absent.
 * @throws SpatialError PLUGIN_UNKNOWN for a format that is not there, with the known ones and the nearest; FILE_MISSING
 *   (file or image), DATA_INVALID (file and line), CONFIG_INVALID for options that the format does not know.
 */
export async function readDataset(
  request: DatasetRequest,
  formats?: DatasetFormats,
): Promise<readonly SampleV1[]> {
  const samples: SampleV1[] = [];
  for await (const sample of streamDataset(request, formats)) samples.push(sample);
  return samples;
}

/** {@link readDataset} one sample after the other: of data sets that are too long for the memory. */
export async function* streamDataset(
  request: DatasetRequest,
  formats: DatasetFormats = builtInContributions(),
): AsyncGenerator<SampleV1> {
  const { path, imageRoot, prompt, settings, onProblem } = request;
  const format = await findFormat(request, formats);
  const { limit = Number.POSITIVE_INFINITY } = request;
  const isThere = imageCheck(request);
  let count = 0;
  const rows = format.read(path, { imageRoot, prompt, settings, onProblem });
  for await (const sample of namingFailures(rows, format, path)) {
    if (count >= limit) return;
    checkSample(sample, format, path);
    const missing = await isThere(sample.images);
    const kept = tolerate(onProblem, () => {
      checkTexts(sample, path);
      if (missing !== undefined) throw missingImage(path, sample.id, missing);
      return sample;
    });
    if (kept === undefined) continue;
    count += 1;
    yield kept;
  }
}

/** What a format throws, as an error that names format and file. */
async function* namingFailures(
  rows: AsyncIterable<SampleV1>,
  format: DatasetFormatV1,
  path: string,
): AsyncGenerator<SampleV1> {
  try {
    yield* rows;
  } catch (error) {
    throw SpatialError.isInstance(error) ? error : failedFormat(format, path, error);
  }
}

/** Finds the first image of a sample that is not there; one that many samples share is looked for once. */
function imageCheck({ checkImages = true }: DatasetRequest) {
  const known = new Map<string, boolean>();
  return async (images: readonly string[]): Promise<string | undefined> => {
    if (!checkImages) return undefined;
    for (const image of images) if (!known.has(image)) known.set(image, await isFile(image));
    return images.find((image) => known.get(image) === false);
  };
}

/** The id of the format that a data set is read with. @throws SpatialError as {@link readDataset} does. */
export const findDatasetFormat = async (
  request: DatasetRequest,
  formats: DatasetFormats = builtInContributions(),
): Promise<string> => (await findFormat(request, formats)).id;

function missingImage(file: string, id: string, image: string): SpatialError {
  return new SpatialError({
    code: 'FILE_MISSING',
    message: `${file}: sample '${id}': image ${image} does not exist`,
    hint: 'Unpack the images beside the data set, or set `imageRoot` (--image-root) to the folder that the image paths are relative to.',
  });
}

/** Texts are what a model is given: marks of other toolkits would be spelled out to it. */
function checkTexts({ id, question, answer, system }: SampleV1, path: string): void {
  for (const [what, text] of Object.entries({ question, answer, system }))
    if (text !== undefined) requireNoPlaceholder(`${path}: sample '${id}': ${what}`, text);
}

/** The named format, or the one that knows the file; the plain format, whose errors name the line, where none does. */
async function findFormat(
  { path, format }: DatasetRequest,
  formats: DatasetFormats,
): Promise<DatasetFormatV1> {
  if (format !== undefined) return named(path, () => formats.resolveDatasetFormat(format));
  const matching: DatasetFormatV1[] = [];
  for (const candidate of formats.datasetFormats()) {
    if (await candidate.detect?.(path)) matching.push(candidate);
  }
  if (matching.length > 1) throw ambiguous(path, matching);
  return matching[0] ?? formats.resolveDatasetFormat(PLAIN_FORMAT_ID);
}

/** Says which data set an unknown format was named for. */
function named(path: string, resolve: () => DatasetFormatV1): DatasetFormatV1 {
  try {
    return resolve();
  } catch (cause) {
    if (!SpatialError.isInstance(cause)) throw cause;
    const { code, message, hint } = cause;
    throw new SpatialError({ code, message: `${path}: ${message}`, hint, cause });
  }
}

const ambiguous = (path: string, formats: readonly DatasetFormatV1[]): SpatialError =>
  new SpatialError({
    code: 'DATA_INVALID',
    message: `${path}: several formats know this file: ${formats.map(({ id }) => id).join(', ')}`,
    hint: 'Say which one it is: `format` in a configuration, --format on the command line.',
  });

/** Formats are code of others: what they give is checked before anything relies on it. */
function checkSample(sample: SampleV1, format: DatasetFormatV1, path: string): void {
  const isRight =
    typeof sample.id === 'string' &&
    sample.id !== '' &&
    Array.isArray(sample.images) &&
    sample.images.every((image) => typeof image === 'string' && isAbsolute(image));
  if (isRight) return;
  const found = JSON.stringify(sample)?.slice(0, 200);
  throw invalidFormat(
    format,
    `${path}: expected a sample with an id and absolute image paths, found ${found}`,
  );
}

/** A format that fails with an error of its own: it may be its fault or that of the file. */
function failedFormat(format: DatasetFormatV1, path: string, cause: unknown): SpatialError {
  const { message } = cause as Error;
  return invalidFormat(format, message.includes(path) ? message : `${path}: ${message}`, cause);
}

const invalidFormat = ({ id }: DatasetFormatV1, problem: string, cause?: unknown): SpatialError =>
  new SpatialError({
    code: 'PLUGIN_INVALID',
    message: `data set format ${id}: ${problem}`,
    hint: 'Correct the data set; if it is right, tell the author of the format.',
    cause,
  });
