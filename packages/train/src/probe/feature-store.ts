import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import {
  canonicalJson,
  describeNonFinite,
  featureTensor,
  findNonFinite,
  float32Source,
  listIfThere,
  openSafetensors,
  readTextIfThere,
  SpatialError,
  type TapSite,
  type TensorSource,
  writeFileAtomic,
  writeSafetensors,
} from '@spatialsv/core';
import { sha256 } from '../data/sha256.js';
import type { ViewLayout } from './view-sets.js';

/** What features depend on besides the images. Paths do not belong to it: what lies there does. */
export interface FeatureIdentity {
  /** SHA-256 of every weight. */
  readonly weights: string;
  /** SHA-256 of what makes a prompt: configuration, tokenizer and chat template. */
  readonly prompt: string;
  /** Adapter, sizes of views, its own settings. */
  readonly settings: Readonly<Record<string, unknown>>;
  /** `float16` keeps what it can without an error above 1e-3 of the root mean square, and float32 the rest. */
  readonly storedAs: 'float16' | 'float32';
}

/** A site, or the pixels of the cells themselves. */
export type FeatureSite = TapSite | 'pixels';

/** States of one view on its grid of cells, (h·w, C) row-major. */
export interface CellFeatures {
  readonly data: Float32Array;
  readonly channels: number;
}

/** Changes when the same images have to get other features. */
const VERSION = 1;
const IDENTITY_FILE = 'identity.json';
const LAYOUT_FILE = 'layout.json';

/**
 * Hidden states of one model on disk: a folder for each view set, and in it a file for each site. What a file depends on is in
 * the names above it, so features of other weights, settings or images never meet, and several runs may share a store. Every
 * file is written in one piece; a killed extraction goes on with the files that are missing.
 */
export class FeatureStore {
  readonly folder: string;
  readonly #storedAs: FeatureIdentity['storedAs'];
  #known: Promise<ReadonlySet<string>> | undefined;

  private constructor(folder: string, storedAs: FeatureIdentity['storedAs']) {
    this.folder = folder;
    this.#storedAs = storedAs;
  }

  /** The part of a store that belongs to one model; made where it is not there. */
  static async open(root: string, identity: FeatureIdentity): Promise<FeatureStore> {
    const text = canonicalJson({ version: VERSION, ...identity });
    const folder = join(root, sha256(text).slice(0, 16));
    await mkdir(folder, { recursive: true });
    await writeFileAtomic(join(folder, IDENTITY_FILE), `${text}\n`);
    return new FeatureStore(folder, identity.storedAs);
  }

  /** The sites of a view set that are not there yet; all of them where its layout is not. */
  async missing(set: string, sites: readonly FeatureSite[]): Promise<readonly FeatureSite[]> {
    this.#known ??= listIfThere(this.folder).then((names) => new Set(names));
    if (!(await this.#known).has(set)) return sites;
    const names = await listIfThere(join(this.folder, set));
    if (!names.includes(LAYOUT_FILE)) return sites;
    return sites.filter((site) => !names.includes(fileOf(site)));
  }

  /** The features of a view set by site, every view in its place. Existing files are replaced. */
  async write(
    set: string,
    layout: readonly ViewLayout[],
    features: ReadonlyMap<FeatureSite, readonly CellFeatures[]>,
  ): Promise<void> {
    const folder = join(this.folder, set);
    await mkdir(folder, { recursive: true });
    for (const [site, views] of features) {
      const tensors = views.map(({ data, channels }, view): [string, TensorSource] => {
        requireFinite(data, site, view);
        return [`${view}`, this.#source(data, [data.length / channels, channels])];
      });
      await writeSafetensors(join(folder, fileOf(site)), new Map(tensors));
    }
    // Last: a set without it is not there.
    await writeFileAtomic(join(folder, LAYOUT_FILE), `${JSON.stringify(layout)}\n`);
  }

  /** @throws SpatialError FILE_MISSING for a view set that is not there. */
  async layout(set: string): Promise<readonly ViewLayout[]> {
    const file = join(this.folder, set, LAYOUT_FILE);
    const text = await readTextIfThere(file);
    if (text !== undefined) return JSON.parse(text) as readonly ViewLayout[];
    throw new SpatialError({
      code: 'FILE_MISSING',
      message: `${file}: the features of this view set are gone`,
      hint: 'Start the same command again: it extracts what is missing.',
    });
  }

  /** Features of every view of a set. @throws SpatialError FILE_MISSING | FILE_INVALID. */
  async read(set: string, site: FeatureSite): Promise<readonly CellFeatures[]> {
    const file = join(this.folder, set, fileOf(site));
    const reader = await openSafetensors(file);
    const views = [...reader.names].map(Number).sort((a, b) => a - b);
    return Promise.all(
      views.map(async (view) => ({
        data: await reader.readFloat32(`${view}`),
        channels: reader.info(`${view}`).shape[1]!,
      })),
    );
  }

  #source(data: Float32Array, shape: readonly number[]): TensorSource {
    if (this.#storedAs === 'float32') return float32Source(data, shape);
    const { bytes, ...rest } = featureTensor(data, shape);
    return { ...rest, bytes: () => bytes };
  }
}

const fileOf = (site: FeatureSite): string => `${site.replace(':', '-')}.safetensors`;

function requireFinite(data: Float32Array, site: FeatureSite, view: number): void {
  const found = findNonFinite(data);
  if (found === undefined) return;
  throw new SpatialError({
    code: 'NON_FINITE',
    message: `states at ${site} of view ${view + 1}: found ${describeNonFinite(found, data.length)}`,
    hint: 'The weights are damaged, or the model overflows at this layer: choose sites before it.',
  });
}
