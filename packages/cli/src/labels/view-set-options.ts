import {
  type DatasetFormats,
  readDataset,
  type Shard,
  SpatialError,
  shardOf,
  type ViewSet,
  viewSetsOfImages,
  viewSetsOfSamples,
} from '@spatialsv/core';
import { listImages } from './image-list.js';

/** Options that say what is labelled. */
export interface ViewSetOptions {
  readonly images?: readonly string[];
  readonly views?: number;
  readonly data?: string;
  /** Id of a data set format. */
  readonly format?: string;
  readonly imageRoot?: string;
  readonly limit?: number;
  readonly shard?: Shard;
}

/**
 * The view sets that a command line asks for: the first `limit` of them, and of those the shard.
 * @param formats where the format of --data is found.
 * @param tell takes a line for each file that is passed over.
 * @throws SpatialError USAGE for options that do not go together, and what reading the data set throws. Images that are
 *   not there are not looked for yet.
 */
export async function collectViewSets(
  options: ViewSetOptions,
  formats: DatasetFormats,
  tell: (text: string) => void,
): Promise<ViewSet[]> {
  checkUsage(options);
  const { images, views, limit, shard = { index: 1, count: 1 } } = options;
  const all =
    images === undefined
      ? viewSetsOfSamples(await readSamples(options, formats))
      : viewSetsOfImages(await namedImages(images, tell), views);
  return shardOf(all.slice(0, limit), shard);
}

const SHOWN = 10;

async function namedImages(
  names: readonly string[],
  tell: (text: string) => void,
): Promise<readonly string[]> {
  const { images, passedOver } = await listImages(names);
  for (const { where, why } of passedOver.slice(0, SHOWN)) tell(`passed over ${where}: ${why}\n`);
  if (passedOver.length > SHOWN) tell(`… and ${passedOver.length - SHOWN} more\n`);
  return images;
}

const readSamples = ({ data, format, imageRoot }: ViewSetOptions, formats: DatasetFormats) =>
  readDataset({ path: data!, format, imageRoot, checkImages: false }, formats);

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
    hint: 'Give the images with --images, or a data set with --data; `spatialsv label --help` has examples.',
  });
