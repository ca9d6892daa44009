import { rm, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { copySource, openWeights, saveWeights } from '../safetensors/index.js';
import type { BackboneV1 } from '../spec.js';
import { withTemporaryFolder } from './temporary-folder.js';

/** What releases of `transformers` write when they load a small checkpoint and save it. */
export interface SavedByReleases {
  /** Lists of names in the file of weights. */
  readonly tensors: readonly (readonly string[])[];
  readonly saved: readonly {
    readonly releases: readonly string[];
    /** Which of the lists. */
    readonly tensors: number;
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

/** Gives the tensors of a folder the names that a release gives them. */
async function renameTensors(
  folder: string,
  names: readonly string[],
  publishedName: (name: string) => string,
): Promise<void> {
  const reader = await openWeights(folder);
  const stored = new Map(reader.names.map((name) => [publishedName(name), name]));
  const tensors = names.map(
    (name) => [name, copySource(reader, stored.get(publishedName(name))!)] as const,
  );
  await saveWeights(folder, new Map(tensors));
}

/**
 * Opens a small checkpoint, and the same with the files and the names of a release in place of its own.
 * @param write writes the checkpoint that the releases were given.
 * @param publishedName of a name in a file.
 * @returns what is read of both, to be compared.
 */
export const openAsSaved = (
  {
    write,
    open,
    publishedName,
  }: {
    readonly write: (folder: string) => Promise<void>;
    readonly open: (folder: string) => Promise<BackboneV1>;
    readonly publishedName: (name: string) => string;
  },
  { tensors }: SavedByReleases,
  saved: SavedByReleases['saved'][number],
) =>
  withTemporaryFolder(async (folder) => {
    await write(folder);
    const expected = await look(await open(folder));
    await renameTensors(folder, tensors[saved.tensors]!, publishedName);
    for (const name of SETTINGS) await rm(path.join(folder, name), { force: true });
    for (const [name, content] of Object.entries(saved.files))
      if (SETTINGS.includes(name))
        await writeFile(path.join(folder, name), JSON.stringify(content));
    return { expected, found: await look(await open(folder)) };
  });
