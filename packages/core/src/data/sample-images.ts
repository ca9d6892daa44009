import { SpatialError } from '../errors.js';
import { type ImageHeader, readImageHeader } from '../images/index.js';
import type { BackboneV1, SampleV1 } from '../spec.js';
import type { ProblemListener } from './json-lines.js';

export interface SampleImagesRequest {
  readonly samples: Iterable<Pick<SampleV1, 'images'>> | AsyncIterable<Pick<SampleV1, 'images'>>;
  /** What a sample is called in messages: its file and id. */
  readonly nameOf: (index: number) => string | Promise<string>;
  /** The backbone that will see the images; only their files are looked at where absent. */
  readonly backbone?: Pick<BackboneV1, 'requireImageSize'> | undefined;
  /** Told of every image that is refused; the first one is thrown where absent. */
  readonly onProblem?: ProblemListener | undefined;
  readonly signal?: AbortSignal | undefined;
}

/** Headers that are read at a time. */
const AT_ONCE = 8;

/**
 * Looks at the header of every image of a data set before anything runs: what can be known without pixels shall not end a run in
 * the middle. An image that many samples share is looked at once.
 * @returns headers by path.
 * @throws SpatialError FILE_MISSING | FILE_INVALID | IMAGE_INVALID, naming the first sample with the image, and the image.
 */
export async function readSampleImages({
  samples,
  nameOf,
  backbone,
  onProblem,
  signal,
}: SampleImagesRequest): Promise<ReadonlyMap<string, ImageHeader>> {
  const sampleOf = await firstSamples(samples);
  const headers = new Map<string, ImageHeader>();
  const problems: { readonly at: number; readonly problem: SpatialError }[] = [];
  // All that look take from one list.
  const waiting = sampleOf.entries();
  let count = 0;
  const look = async () => {
    for (const [path, sample] of waiting) {
      signal?.throwIfAborted();
      const at = count;
      count += 1;
      try {
        const header = await readImageHeader(path);
        headers.set(path, header);
        backbone?.requireImageSize?.(header);
      } catch (error) {
        if (!SpatialError.isInstance(error)) throw error;
        problems.push({ at, problem: named(error, await nameOf(sample), path) });
      }
    }
  };
  await Promise.all(Array.from({ length: AT_ONCE }, look));
  // In the order of the samples, so that the first problem is the same at every run.
  for (const { problem } of problems.sort((a, b) => a.at - b.at)) {
    if (onProblem === undefined) throw problem;
    onProblem(problem);
  }
  return headers;
}

/** Index of the first sample with each image. */
async function firstSamples(
  samples: SampleImagesRequest['samples'],
): Promise<ReadonlyMap<string, number>> {
  const sampleOf = new Map<string, number>();
  let index = 0;
  for await (const { images } of samples) {
    for (const image of images) if (!sampleOf.has(image)) sampleOf.set(image, index);
    index += 1;
  }
  return sampleOf;
}

function named(error: SpatialError, sample: string, path: string): SpatialError {
  const { code, hint, message: text } = error;
  const message = `${sample}: ${text.includes(path) ? text : `${path}: ${text}`}`;
  return new SpatialError({ code, hint, message, cause: error });
}
