import {
  type BackboneV1,
  type RgbImage,
  type StoredLabeller,
  type TapSite,
  type ViewSet,
  withCleanup,
} from '@spatialsv/core';
import { pixelsOfCells } from './cell-states.js';
import type { CellFeatures, FeatureSite, FeatureStore } from './feature-store.js';
import type { ImageFiles } from './image-files.js';
import { type ProbeSet, probeSetId, type ViewLayout } from './view-sets.js';

/** States of the views of one set by site, and where their cells lie. */
export interface ViewSetStates {
  readonly layout: readonly ViewLayout[];
  readonly states: ReadonlyMap<TapSite, readonly CellFeatures[]>;
}

/** Runs the model on the views of a set. */
export type ReadStates = (
  images: readonly RgbImage[],
  sites: readonly TapSite[],
) => Promise<ViewSetStates>;

export interface IdentifyRequest {
  readonly sets: readonly ViewSet[];
  readonly files: ImageFiles;
  readonly labels: StoredLabeller;
  readonly signal?: AbortSignal | undefined;
  readonly onProgress?: ((done: number) => void) | undefined;
}

/**
 * Reads the images of view sets and looks for their labels, before anything runs.
 * @returns every set once; sets of equal images are one.
 * @throws SpatialError FILE_MISSING | IMAGE_INVALID for an image; DATA_INVALID where labels are missing.
 */
export async function identifySets(request: IdentifyRequest): Promise<readonly ProbeSet[]> {
  const { sets, files, labels, signal, onProgress } = request;
  const found = new Map<string, ProbeSet>();
  const missing: ProbeSet[] = [];
  for (const [index, { images }] of sets.entries()) {
    signal?.throwIfAborted();
    const hashes: string[] = [];
    for (const image of images) hashes.push(await files.hash(image));
    const set = { id: probeSetId(hashes), images, hashes };
    if (!labels.hasContent(hashes)) missing.push(set);
    found.set(set.id, set);
    onProgress?.(index + 1);
  }
  const [first] = missing;
  if (first === undefined) return [...found.values()];
  const error = labels.missingLabels(first.images);
  throw missing.length === 1 ? error : counted(error, missing.length, sets.length);
}

function counted(
  error: ReturnType<StoredLabeller['missingLabels']>,
  missing: number,
  sets: number,
) {
  const message = `${error.message}, nor of ${missing - 1} more of ${sets} view sets`;
  return Object.assign(error, { message });
}

export interface ExtractRequest {
  readonly sets: readonly ProbeSet[];
  readonly sites: readonly TapSite[];
  /** Whether the pixels of the cells are kept too. */
  readonly pixels: boolean;
  readonly store: Pick<FeatureStore, 'missing' | 'write'>;
  readonly files: Pick<ImageFiles, 'decode'>;
  readonly backbone: Pick<BackboneV1, 'requireImageSize'>;
  readonly readStates: ReadStates;
  readonly signal?: AbortSignal | undefined;
  /** @param done sets that are there. @param ran of these, sets that the model was run on. */
  readonly onProgress?: ((done: number, ran: number) => void) | undefined;
}

/**
 * Brings the states of view sets into a store; sets and sites that it has are passed over, so what was stopped goes on.
 * However it ends, nothing is being written any more.
 * @returns the number of sets on which the model was run.
 * @throws SpatialError IMAGE_INVALID for an image that cannot be decoded; NON_FINITE for states that are no numbers.
 */
export async function extractFeatures(request: ExtractRequest): Promise<number> {
  const { sets, store, signal, onProgress } = request;
  const wanted: readonly FeatureSite[] = [
    ...request.sites,
    ...(request.pixels ? (['pixels'] as const) : []),
  ];
  let ran = 0;
  let writing: Promise<void> = Promise.resolve();
  const work = async () => {
    for (const [index, set] of sets.entries()) {
      signal?.throwIfAborted();
      const missing = await store.missing(set.id, wanted);
      if (missing.length > 0) {
        const { layout, features } = await featuresOf(request, set, missing);
        // One set is written while the next one runs.
        await writing;
        writing = store.write(set.id, layout, features);
        writing.catch(() => undefined);
        ran += 1;
      }
      onProgress?.(index + 1, ran);
    }
  };
  await withCleanup(work, () => writing);
  return ran;
}

async function featuresOf(
  { files, backbone, readStates }: ExtractRequest,
  { images: paths }: ProbeSet,
  sites: readonly FeatureSite[],
) {
  const images: RgbImage[] = [];
  for (const path of paths) {
    const image = await files.decode(path);
    backbone.requireImageSize?.(image);
    images.push(image);
  }
  const ofModel = sites.filter((site): site is TapSite => site !== 'pixels');
  const { layout, states } = await readStates(images, ofModel);
  const features = new Map<FeatureSite, readonly CellFeatures[]>(states);
  if (sites.includes('pixels'))
    features.set(
      'pixels',
      images.map((image, view) => pixelsOfCells(image, layout[view]!)),
    );
  return { layout, features };
}
