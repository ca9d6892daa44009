import {
  type DatasetFormat,
  readDataset,
  type Shard,
  SpatialError,
  shardOf,
  type ViewSet,
  viewSetsOfImages,
  viewSetsOfSamples,
} from '@spatialsv/core';
import { InvalidArgumentError } from 'commander';
import { listImages } from './image-list.js';

/** Options that say what is labelled. */
export interface ViewSetOptions {
  readonly images?: readonly string[];
  readonly views?: number;
  readonly data?: string;
  readonly format?: DatasetFormat;
  readonly imageRoot?: string;
  readonly limit?: number;
  readonly shard?: Shard;
}

/**
 * The view sets that a command line asks for: the first `limit` of them, and of those the shard.
 * @throws SpatialError USAGE for options that do not go together, and what reading the data set throws. Pictures that are
 *   not there are not looked for yet.
 */
export async function collectViewSets(options: ViewSetOptions): Promise<ViewSet[]> {
  checkUsage(options);
  const { images, views, limit, shard = { index: 1, count: 1 } } = options;
  const all =
    images === undefined
      ? viewSetsOfSamples(await readSamples(options))
      : viewSetsOfImages(await listImages(images), views);
  return shardOf(all.slice(0, limit), shard);
}

const readSamples = ({ data, format = 'jsonl', imageRoot }: ViewSetOptions) =>
  readDataset({ path: data!, format, imageRoot, checkImages: false });

function checkUsage({ images, data, views, format, imageRoot }: ViewSetOptions): void {
  if ((images === undefined) === (data === undefined)) {
    const found = images === undefined ? 'neither' : 'both';
    throw usage(`expected --images or --data, found ${found}`);
  }
  if (data !== undefined && views !== undefined) {
    throw usage('--views groups --images; the rows of --data name the views of each set');
  }
  if (images !== undefined && (format ?? imageRoot) !== undefined) {
    throw usage('--format and --image-root belong to --data');
  }
}

const usage = (message: string): SpatialError =>
  new SpatialError({
    code: 'USAGE',
    message,
    hint: 'Give the pictures with --images, or a data set with --data; `spatialsv label --help` has examples.',
  });

/** Parser of `--shard i/n`. */
export function parseShard(text: string): Shard {
  const [, index, count] = (/^(\d+)\/(\d+)$/.exec(text) ?? []).map(Number);
  if (index !== undefined && count !== undefined && index >= 1 && index <= count) {
    return { index, count };
  }
  throw new InvalidArgumentError('Expected i/n with i from 1 to n, for example 2/8.');
}
