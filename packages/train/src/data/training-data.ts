import {
  type DatasetFormats,
  type LabellerV1,
  readDataset,
  type SampleV1,
  SpatialError,
  type SupervisionRequestV1,
} from '@spatialsv/core';
import type { TrainConfig } from '../config/schema.js';
import { type MixedSet, shuffledIndices } from './sample-order.js';

/** A sample, and what of it is learnt. */
export interface TrainingSample extends SampleV1 {
  /** Whether labels are learnt. */
  readonly labels: boolean;
}

/** Samples of all data sets of a run, one data set after the other. */
export interface TrainingData {
  readonly samples: readonly TrainingSample[];
  /** The data sets as they are mixed. */
  readonly sets: readonly MixedSet[];
  /** What a sample is called in messages: its id, and where it stands if another one has the same id. */
  nameOf(index: number): string;
  /** The same with the file, for messages about what is in it. */
  placeOf(index: number): string;
}

/**
 * @param formats where the formats of the data sets are found; those of core where absent.
 * @throws SpatialError FILE_MISSING, DATA_INVALID (file and line), PLUGIN_UNKNOWN for a format that is not there.
 */
export async function readTrainingData(
  config: Pick<TrainConfig, 'data' | 'seed'> & Partial<Pick<TrainConfig, 'brokenSamples'>>,
  formats?: DatasetFormats,
): Promise<TrainingData> {
  const samples: TrainingSample[] = [];
  const places: { readonly path: string; readonly number: number }[] = [];
  const sets: MixedSet[] = [];
  for (const dataset of config.data) {
    const { text, labels, ratio, seed = config.seed } = dataset;
    // Images that have gone are met where their samples are.
    const checkImages = config.brokenSamples !== 'skip';
    const read = await readDataset({ ...dataset, checkImages }, formats);
    const used = partOf(read.length, dataset.part, seed);
    for (const index of used) {
      samples.push({ ...(text ? read[index]! : withoutText(read[index]!)), labels });
      places.push({ path: dataset.path, number: index + 1 });
    }
    sets.push({ count: used.length, ratio, seed });
  }
  const repeated = repeatedIds(samples);
  const nameOf = (index: number) => {
    const { id } = samples[index]!;
    const { path, number } = places[index]!;
    return repeated.has(id) ? `${id} (sample ${number} of ${path})` : id;
  };
  const placeOf = (index: number) => `${places[index]!.path}: sample '${nameOf(index)}'`;
  return { samples, sets, nameOf, placeOf };
}

/** Indices of a part of `count` samples, in their own order: parts that do not overlap share no sample. */
function partOf(count: number, [from, to]: readonly [number, number], seed: number) {
  const [first, last] = [Math.floor(from * count), Math.floor(to * count)];
  return shuffledIndices(count, seed)
    .slice(first, last)
    .sort((a, b) => a - b);
}

const withoutText = ({ id, images, category }: SampleV1): SampleV1 => ({
  id,
  images,
  ...(category !== undefined && { category }),
});

function repeatedIds(samples: readonly SampleV1[]): ReadonlySet<string> {
  const seen = new Set<string>();
  const repeated = new Set<string>();
  for (const { id } of samples) (seen.has(id) ? repeated : seen).add(id);
  return repeated;
}

/**
 * Refuses data from which nothing can be learned.
 * @throws SpatialError DATA_INVALID.
 */
export function requireSignal(
  { samples, nameOf }: TrainingData,
  labeller: LabellerV1 | undefined,
  config: Pick<TrainConfig, 'data'>,
): void {
  const paths = config.data.map(({ path }) => path).join(', ');
  if (samples.length === 0)
    throw dataError(`${paths}: no samples`, 'Check `limit`, `part` and the files.');
  if (labeller !== undefined && !samples.some(({ labels }) => labels))
    throw dataError(
      `${paths}: no sample has labels, which the arm learns from`,
      'Set labels: true for a data set, or arm: text.',
    );
  const silent = samples.findIndex(
    ({ answer, labels }) => answer === undefined && !(labels && labeller !== undefined),
  );
  if (silent < 0) return;
  throw dataError(
    `${paths}: sample '${nameOf(silent)}' has no answer, and no source gives it labels`,
    'Name a label source under `source` and take another `arm` than text, or remove the samples without text.',
  );
}

const dataError = (message: string, hint: string) =>
  new SpatialError({ code: 'DATA_INVALID', message, hint });

/** Size of the labels to ask for. */
export const requestedSize = ({
  source: { height, width },
}: Pick<TrainConfig, 'source'>): Pick<SupervisionRequestV1, 'height' | 'width'> => ({
  ...(height !== undefined && { height }),
  ...(width !== undefined && { width }),
});
