import { rm, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { openWeights } from '../safetensors/index.js';
import type { BackboneV1 } from '../spec.js';
import { withTemporaryFolder } from './temporary-folder.js';

/** What releases of `transformers` write when they load a small checkpoint and save it. */
export interface SavedByReleases {
  /** Names in the file of weights, sorted. */
  readonly tensors: readonly string[];
  readonly saved: readonly {
    readonly releases: readonly string[];
    /** Names of all files. */
    readonly names: readonly string[];
    /** Content of the JSON files that adapters read. */
    readonly files: Readonly<Record<string, unknown>>;
  }[];
}

/** Files that say how a model is opened; those that a release does not write are removed. */
const SETTINGS = [
  'config.json',
  'generation_config.json',
  'preprocessor_config.json',
  'processor_config.json',
];

const image = {
  data: Uint8Array.from({ length: 3 * 60 * 90 }, (_, i) => (i * 7919) % 256),
  height: 60,
  width: 90,
};

/** What an opened model is, but for its functions. */
const look = async ({ config, weights, findings = [], prepare }: BackboneV1) => {
  const shapes = Object.entries(weights).map(([name, { shape }]) => [name, shape] as const);
  const inputs = await prepare({ images: [image, image], question: 'Where is it?' });
  return { config, findings, inputs, shapes };
};

/**
 * Opens a small checkpoint, and the same with the files of a release in place of its own.
 * @param write writes the checkpoint that the releases were given.
 * @returns what is read of both, to be compared, and the names in its file of weights.
 */
export const openAsSaved = (
  write: (folder: string) => Promise<void>,
  open: (folder: string) => Promise<BackboneV1>,
  { files }: SavedByReleases['saved'][number],
) =>
  withTemporaryFolder(async (folder) => {
    await write(folder);
    const expected = await look(await open(folder));
    const { names } = await openWeights(folder);
    for (const name of SETTINGS) await rm(path.join(folder, name), { force: true });
    for (const [name, content] of Object.entries(files))
      if (SETTINGS.includes(name))
        await writeFile(path.join(folder, name), JSON.stringify(content));
    return { expected, found: await look(await open(folder)), names: [...names].sort() };
  });
