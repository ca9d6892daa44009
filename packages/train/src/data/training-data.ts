import {
  type DatasetFormats,
  type LabellerV1,
  readDataset,
  type SampleV1,
  SpatialError,
  type SupervisionRequestV1,
} from '@spatialsv/core';
import type { TrainConfig } from '../config/schema.js';

/** Samples of all data sets of a run, one data set after the other. */
export interface TrainingData {
  readonly samples: readonly SampleV1[];
  /** Samples of each data set. */
  readonly counts: readonly number[];
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
  config: Pick<TrainConfig, 'data'>,
  formats?: DatasetFormats,
): Promise<TrainingData> {
  const samples: SampleV1[] = [];
  const places: { readonly path: string; readonly number: number }[] = [];
  const counts: number[] = [];
  for (const dataset of config.data) {
    const read = await readDataset(dataset, formats);
    for (const [index, sample] of read.entries()) {
      samples.push(sample);
      places.push({ path: dataset.path, number: index + 1 });
    }
    counts.push(read.length);
  }
  const repeated = repeatedIds(samples);
  const nameOf = (index: number) => {
    const { id } = samples[index]!;
    const { path, number } = places[index]!;
    return repeated.has(id) ? `${id} (sample ${number} of ${path})` : id;
  };
  const placeOf = (index: number) => `${places[index]!.path}: sample '${nameOf(index)}'`;
  return { samples, counts, nameOf, placeOf };
}

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
  if (samples.length === 0) throw dataError(`${paths}: no samples`, 'Check `limit` and the files.');
  const silent = samples.findIndex(({ answer }) => answer === undefined);
  if (labeller !== undefined || silent < 0) return;
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
