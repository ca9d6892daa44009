import { SpatialError } from '../errors.js';
import { type ImageHeader, imageHeader, readImageHeader } from '../images/image-header.js';
import type { BackboneV1, BenchmarkImageV1 } from '../spec.js';
import type { ProblemListener } from './json-lines.js';

/** Images of one sample or question: paths, or bytes that lie inside another file. */
interface ImagesOfSample {
  readonly images: readonly (string | BenchmarkImageV1)[];
}

export interface SampleImagesRequest {
  readonly samples: Iterable<ImagesOfSample> | AsyncIterable<ImagesOfSample>;
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
 * @returns headers by path, or by name where an image is no file.
 * @throws SpatialError FILE_MISSING | FILE_INVALID | IMAGE_INVALID, naming the first sample with the image, and the image.
 */
export async function readSampleImages({
  samples,
  nameOf,
  backbone,
  onProblem,
  signal,
}: SampleImagesRequest): Promise<ReadonlyMap<string, ImageHeader>> {
  const distinct = await distinctImages(samples);
  const headers = new Map<string, ImageHeader>();
  const problems: { readonly at: number; readonly problem: SpatialError }[] = [];
  // All that look take from one list.
  const waiting = distinct.entries();
  let count = 0;
  const look = async () => {
    for (const [name, { sample, header }] of waiting) {
      signal?.throwIfAborted();
      const at = count;
      count += 1;
      try {
        const found = await header();
        headers.set(name, found);
        backbone?.requireImageSize?.(found);
      } catch (error) {
        if (!SpatialError.isInstance(error)) throw error;
        problems.push({ at, problem: named(error, await nameOf(sample), name) });
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

interface DistinctImage {
  /** Index of the first sample that has it. */
  readonly sample: number;
  readonly header: () => Promise<ImageHeader>;
}

async function distinctImages(
  samples: SampleImagesRequest['samples'],
): Promise<ReadonlyMap<string, DistinctImage>> {
  const distinct = new Map<string, DistinctImage>();
  let sample = 0;
  for await (const { images } of samples) {
    for (const image of images) {
      const [name, header] = headerReader(image);
      if (!distinct.has(name)) distinct.set(name, { sample, header });
    }
    sample += 1;
  }
  return distinct;
}

function headerReader(image: string | BenchmarkImageV1): [string, DistinctImage['header']] {
  const { name, source } = typeof image === 'string' ? { name: image, source: image } : image;
  if (typeof source === 'string') return [source, () => readImageHeader(source)];
  return [name, async () => imageHeader(await source(), name)];
}

function named(error: SpatialError, sample: string, image: string): SpatialError {
  const { code, hint, message: text } = error;
  const message = `${sample}: ${text.includes(image) ? text : `${image}: ${text}`}`;
  return new SpatialError({ code, hint, message, cause: error });
}
