import { join } from 'node:path';
import {
  describeProblem,
  knownHashes,
  type LabellerV1,
  type LabelRequestV1,
  parseJsonText,
  readTextIfThere,
  type SampleV1,
  SpatialError,
  writeFileAtomic,
} from '@spatialsv/core';
import { z } from 'zod';
import { mapValues } from '../records.js';
import type { Change } from './change.js';
import { changedEntries } from './changes.js';

const INPUTS_FILE = 'inputs.json';

const contents = z.record(z.string(), z.string());
const inputsSchema = z.object({ version: z.literal(1), images: contents, labels: contents });

type Contents = Readonly<Record<string, string>>;

/** What a run reads beside its data files, by content: `inputs.json`. */
export interface RunInputs {
  /** SHA-256 of every image file, or `absent`, by path. */
  readonly images: Contents;
  /**
   * What identifies the stored labels of every view set, or `absent`, by the paths of its images; those of a second teacher behind
   * `second teacher:`.
   */
  readonly labels: Contents;
}

type LabelSize = Pick<LabelRequestV1, 'height' | 'width'>;

/**
 * Reads every image that the samples name and that has changed since it was read last, and asks the teachers for the content of
 * their labels where they were made before. An image that cannot be read is noted as absent: whether it is needed shows when its sample is.
 */
export async function describeInputs(
  samples: AsyncIterable<Pick<SampleV1, 'images'>>,
  [first, second]: readonly (LabellerV1 | undefined)[],
  size: LabelSize,
): Promise<RunInputs> {
  const viewSets = new Map<string, readonly string[]>();
  for await (const { images } of samples) viewSets.set(setName(images), images);
  const paths = [...new Set([...viewSets.values()].flat())].sort();
  return {
    images: await describeEach(paths, (path) => path, knownHashes.of),
    labels: {
      ...(await describeLabels([...viewSets.values()], first, size, setName)),
      ...(await describeLabels([...viewSets.values()], second, size, secondName)),
    },
  };
}

async function describeLabels(
  viewSets: readonly (readonly string[])[],
  labeller: LabellerV1 | undefined,
  size: LabelSize,
  nameOf: (images: readonly string[]) => string,
): Promise<Contents> {
  if (labeller?.contentOf === undefined) return {};
  return describeEach(viewSets, nameOf, (images) => labeller.contentOf!({ images, ...size }));
}

const setName = (images: readonly string[]): string => images.join(' ');
const secondName = (images: readonly string[]): string => `second teacher: ${setName(images)}`;

/** Reads that are under way at a time. */
const AT_ONCE = 8;

async function describeEach<Item>(
  items: readonly Item[],
  nameOf: (item: Item) => string,
  describe: (item: Item) => Promise<string>,
): Promise<Record<string, string>> {
  const found = new Array<[string, string]>(items.length);
  let next = 0;
  const worker = async () => {
    for (let index = next++; index < items.length; index = next++) {
      const item = items[index]!;
      found[index] = [nameOf(item), await describe(item).catch(absentOr)];
    }
  };
  await Promise.all(Array.from({ length: AT_ONCE }, worker));
  return Object.fromEntries(found);
}

/** Stands for what is not there. */
const ABSENT = 'absent';

function absentOr(error: unknown): string {
  if (SpatialError.isInstance(error)) return ABSENT;
  throw error;
}

/**
 * What is not as it was, one entry for each image or view set. What only one of the two names does not count: then the data
 * file is another one, which is a change of its own.
 */
export function changedInputs(before: RunInputs, now: RunInputs): readonly Change[] {
  const inBoth = (values: Contents, other: Contents): Contents =>
    Object.fromEntries(Object.entries(values).filter(([name]) => Object.hasOwn(other, name)));
  const compare = (kind: 'data' | 'labels', was: Contents, is: Contents) =>
    changedEntries(kind, inBoth(was, is), inBoth(is, was));
  return [
    ...compare('data', before.images, now.images),
    ...compare('labels', before.labels, now.labels),
  ];
}

/** What is there now, and of what is absent what it was. */
export function withKnown(now: RunInputs, before: RunInputs): RunInputs {
  const fill = (is: Contents, was: Contents): Contents =>
    mapValues(is, (content, name) => (content === ABSENT ? (was[name] ?? ABSENT) : content));
  return { images: fill(now.images, before.images), labels: fill(now.labels, before.labels) };
}

/** @throws SpatialError FILE_INVALID for a damaged file. @returns undefined for a run that has none. */
export async function readInputs(out: string): Promise<RunInputs | undefined> {
  const file = join(out, INPUTS_FILE);
  const text = await readTextIfThere(file);
  if (text === undefined) return undefined;
  try {
    return inputsSchema.parse(parseJsonText(text));
  } catch (cause) {
    throw new SpatialError({
      code: 'FILE_INVALID',
      message: `${file}: not the contents of a run's images and labels (${describeProblem(cause)})`,
      hint: 'Restore the file, or start a new run in another `out` folder.',
      cause,
    });
  }
}

export async function writeInputs(out: string, inputs: RunInputs): Promise<void> {
  const text = JSON.stringify({ version: 1, ...inputs }, null, 1);
  await writeFileAtomic(join(out, INPUTS_FILE), `${text}\n`);
}
