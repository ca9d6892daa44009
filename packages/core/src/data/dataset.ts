import { isAbsolute } from 'node:path';
import { builtInContributions } from '../built-in.js';
import { SpatialError } from '../errors.js';
import type { DatasetFormatV1, SampleV1 } from '../spec.js';
import { requireImages } from './image-root.js';
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
  formats: DatasetFormats = builtInContributions(),
): Promise<readonly SampleV1[]> {
  const { path, imageRoot, prompt, settings, limit = Number.POSITIVE_INFINITY } = request;
  const format = await findFormat(request, formats);
  const samples: SampleV1[] = [];
  try {
    for await (const sample of format.read(path, { imageRoot, prompt, settings })) {
      if (samples.length >= limit) break;
      samples.push(checkSample(sample, format, path));
    }
  } catch (error) {
    throw SpatialError.isInstance(error) ? error : failedFormat(format, path, error);
  }
  if (request.checkImages !== false) await requireImages(samples, path);
  return samples;
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
function checkSample(sample: SampleV1, format: DatasetFormatV1, path: string): SampleV1 {
  const isRight =
    typeof sample.id === 'string' &&
    sample.id !== '' &&
    Array.isArray(sample.images) &&
    sample.images.every((image) => typeof image === 'string' && isAbsolute(image));
  if (isRight) return sample;
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
