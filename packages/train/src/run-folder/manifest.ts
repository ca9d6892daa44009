import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { hashFile, type LabelProvenanceV1, writeFileAtomic } from '@spatialsv/core';
import type { TrainConfig } from '../config/schema.js';

/** What a run was made from: `manifest.json`. */
export interface RunManifest {
  readonly version: 1;
  readonly createdAt: string;
  /** When the run was continued. */
  readonly resumedAt: readonly string[];
  readonly seed: number;
  readonly versions: Readonly<Record<string, string>>;
  readonly model: {
    readonly folder: string;
    readonly adapter: string;
    /** SHA-256 of the weight files, see `hashWeights` of core. */
    readonly weightsHash: string;
  };
  /** Who made the labels, under which licence. */
  readonly source: LabelProvenanceV1 | 'none';
  readonly data: readonly {
    readonly path: string;
    readonly sha256: string;
    readonly samples: number;
  }[];
}

export const MANIFEST_FILE = 'manifest.json';

export async function describeData(
  config: TrainConfig,
  counts: readonly number[],
): Promise<RunManifest['data']> {
  const data: RunManifest['data'][number][] = [];
  for (const [index, { path }] of config.data.entries()) {
    data.push({ path, sha256: await hashFile(path), samples: counts[index]! });
  }
  return data;
}

export async function readManifest(out: string): Promise<RunManifest | undefined> {
  const text = await readFile(join(out, MANIFEST_FILE), 'utf8').catch(() => undefined);
  return text === undefined ? undefined : (JSON.parse(text) as RunManifest);
}

export async function writeManifest(out: string, manifest: RunManifest): Promise<void> {
  await writeFileAtomic(join(out, MANIFEST_FILE), `${JSON.stringify(manifest, null, 2)}\n`);
}
