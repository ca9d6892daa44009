import {
  type DatasetFormats,
  type LabellerV1,
  type LabelRequestV1,
  type SampleV1,
  SpatialError,
  streamDataset,
} from '@spatialsv/core';
import type { TrainConfig } from '../config/schema.js';
import { RepeatedIds } from './repeated-ids.js';
import { RowStore } from './row-store.js';
import { type MixedSet, shuffledIndices } from './sample-order.js';

/** A sample, and what of it is learnt. */
export interface TrainingSample extends SampleV1 {
  /** Whether labels are learnt. */
  readonly labels: boolean;
  /** What the sample is called in messages: its id, and where it stands if another one has the same id. */
  readonly name: string;
  /** The same with the file, for messages about what is in it. */
  readonly place: string;
}

type DataConfig = Pick<TrainConfig, 'data' | 'seed'> & Partial<Pick<TrainConfig, 'brokenSamples'>>;
type DatasetConfig = TrainConfig['data'][number];

/** A data set whose samples stand in a store. */
interface StoredSet extends MixedSet {
  readonly config: DatasetConfig;
  /** Of its samples, among those of all sets. */
  readonly first: number;
  /** Row in the store of its first sample. */
  readonly firstRow: number;
  /** Its samples among those of the file, where it is a part of them. */
  readonly part: Uint32Array | undefined;
}

/**
 * Samples of all data sets of a run, one data set after the other. They are read once, checked, and kept on the disk: memory grows by
 * some 20 bytes for each, whatever it says.
 */
export class TrainingData {
  readonly #rows: RowStore<SampleV1>;
  readonly #ids: RepeatedIds;
  readonly #sets: readonly StoredSet[];

  private constructor(rows: RowStore<SampleV1>, ids: RepeatedIds, sets: readonly StoredSet[]) {
    this.#rows = rows;
    this.#ids = ids;
    this.#sets = sets;
  }

  /**
   * @param formats where the formats of the data sets are found; those of core where absent.
   * @throws SpatialError FILE_MISSING, DATA_INVALID (file and line), PLUGIN_UNKNOWN for a format that is not there.
   */
  static async read(config: DataConfig, formats?: DatasetFormats): Promise<TrainingData> {
    const rows = new RowStore<SampleV1>();
    const ids = new RepeatedIds();
    const sets: StoredSet[] = [];
    try {
      for (const dataset of config.data) {
        const { ratio, seed = config.seed } = dataset;
        const firstRow = rows.length;
        // Images that have gone are met where their samples are.
        const checkImages = config.brokenSamples !== 'skip';
        for await (const sample of streamDataset({ ...dataset, checkImages }, formats)) {
          await rows.push(sample);
          if (isWhole(dataset.part)) ids.add(sample.id);
        }
        const part = partOf(rows.length - firstRow, dataset.part, seed);
        for (const row of part ?? []) ids.add((await rows.at(firstRow + row)).id);
        const count = part?.length ?? rows.length - firstRow;
        const first = countOf(sets);
        sets.push({ ...{ config: dataset, count, ratio, seed }, ...{ first, firstRow, part } });
      }
      return new TrainingData(rows, ids, sets);
    } catch (error) {
      await rows.close();
      throw error;
    }
  }

  /** The data sets as they are mixed. */
  get sets(): readonly MixedSet[] {
    return this.#sets;
  }

  /** Samples of all sets. */
  get count(): number {
    return countOf(this.#sets);
  }

  async at(index: number): Promise<TrainingSample> {
    const { path, text, labels } = this.#setOf(index).config;
    const row = await this.#row(index);
    const name = this.#ids.has(row.id)
      ? `${row.id} (sample ${this.#numberOf(index)} of ${path})`
      : row.id;
    const place = `${path}: sample '${name}'`;
    return { ...(text ? row : withoutText(row)), labels, name, place };
  }

  /** All of them, in their order. */
  async *[Symbol.asyncIterator](): AsyncGenerator<TrainingSample> {
    for (let index = 0; index < this.count; index++) yield this.at(index);
  }

  close(): Promise<void> {
    return this.#rows.close();
  }

  #row(index: number): Promise<SampleV1> {
    return this.#rows.at(this.#setOf(index).firstRow + this.#numberOf(index) - 1);
  }

  /** Number of a sample in its file, 1 for the first. */
  #numberOf(index: number): number {
    const { first, part } = this.#setOf(index);
    return 1 + (part === undefined ? index - first : part[index - first]!);
  }

  #setOf(index: number): StoredSet {
    return this.#sets.findLast(({ first }) => first <= index)!;
  }
}

const countOf = (sets: readonly MixedSet[]): number =>
  sets.reduce((sum, { count }) => sum + count, 0);

type Part = DatasetConfig['part'];

const isWhole = ([from, to]: Part): boolean => from === 0 && to === 1;

/**
 * Indices of a part of `count` samples, in their own order: parts that do not overlap share no sample.
 * @returns undefined for all.
 */
function partOf(count: number, part: Part, seed: number): Uint32Array | undefined {
  if (isWhole(part)) return undefined;
  const [from, to] = part;
  const [first, last] = [Math.floor(from * count), Math.floor(to * count)];
  return shuffledIndices(count, seed).slice(first, last).sort();
}

const withoutText = ({ id, images, category }: SampleV1): SampleV1 => ({
  id,
  images,
  ...(category !== undefined && { category }),
});

/**
 * Refuses data from which nothing can be learned.
 * @throws SpatialError DATA_INVALID.
 */
export async function requireSignal(
  data: TrainingData,
  labeller: LabellerV1 | undefined,
  config: Pick<TrainConfig, 'data'>,
): Promise<void> {
  const paths = config.data.map(({ path }) => path).join(', ');
  if (data.count === 0)
    throw dataError(`${paths}: no samples`, 'Check `limit`, `part` and the files.');
  let hasLabels = false;
  for await (const { answer, labels, name } of data) {
    hasLabels ||= labels;
    if (answer !== undefined || (labels && labeller !== undefined)) continue;
    throw dataError(
      `${paths}: sample '${name}' has no answer, and no source gives it labels`,
      'Name a label source under `source` and take another `arm` than text, or remove the samples without text.',
    );
  }
  if (labeller !== undefined && !hasLabels)
    throw dataError(
      `${paths}: no sample has labels, which the arm learns from`,
      'Set labels: true for a data set, or arm: text.',
    );
}

const dataError = (message: string, hint: string) =>
  new SpatialError({ code: 'DATA_INVALID', message, hint });

/** Size of the labels to ask for. */
export const requestedSize = ({
  source: { height, width },
}: Pick<TrainConfig, 'source'>): Pick<LabelRequestV1, 'height' | 'width'> => ({
  ...(height !== undefined && { height }),
  ...(width !== undefined && { width }),
});
