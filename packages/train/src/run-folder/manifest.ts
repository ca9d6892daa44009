import { join } from 'node:path';
import {
  describeProblem,
  knownHashes,
  type LabelProvenanceV1,
  parseJsonText,
  readTextIfThere,
  SpatialError,
  writeFileAtomic,
} from '@spatialsv/core';
import type { KernelRecord, MachineInfo } from '@spatialsv/engine';
import { z } from 'zod';
import type { ModelDefaults } from '../config/run-config.js';
import type { TrainConfig } from '../config/schema.js';
import type { Recompute } from '../step/open-runner.js';
import type { Change } from './change.js';

/** What a run was made from: `manifest.json`. */
export interface RunManifest {
  readonly version: 1;
  readonly createdAt: string;
  /** When the run was continued. */
  readonly resumedAt: readonly string[];
  readonly seed: number;
  readonly versions: Readonly<Record<string, string>>;
  /** What the last digits of every result depend on; absent in runs that were begun before it was recorded. */
  readonly machine?: (MachineInfo & { readonly kernels: KernelRecord }) | undefined;
  readonly model: {
    readonly folder: string;
    readonly adapter: string;
    /** SHA-256 of the weight files, see `hashWeights` of core. */
    readonly weightsHash: string;
    /** SHA-256 of configuration, tokenizer and chat template, see `hashPromptFiles` of core. */
    readonly configurationHash: string;
  };
  /** Taps and learning rates, and where they come from. */
  readonly defaults: ModelDefaults;
  /** Who made the labels, under which licence. */
  readonly source: LabelProvenanceV1 | 'none';
  readonly secondTeacher?: LabelProvenanceV1 | undefined;
  readonly data: readonly {
    readonly path: string;
    readonly sha256: string;
    readonly samples: number;
  }[];
  /** Files that the data name and labels that a store has, see {@link RunInputs}; each by content in `inputs.json`. */
  readonly inputs?: { readonly images: number; readonly labels: number } | undefined;
  /** What `recompute: auto` stands for. */
  readonly recompute?: Recompute;
  /** What was different when the run was continued, and accepted. */
  readonly acceptedChanges: readonly (Change & { readonly at: string })[];
}

export const MANIFEST_FILE = 'manifest.json';

/** What resuming looks at; the rest is for people. */
const manifestSchema = z.looseObject({
  version: z.literal(1),
  createdAt: z.string(),
  resumedAt: z.array(z.string()),
  versions: z.record(z.string(), z.string()),
  machine: z
    .looseObject({
      kernels: z.object({
        block: z.int().nullable(),
        kernels: z.array(
          z.object({
            kind: z.string(),
            size: z.object({ rows: z.number(), channels: z.number() }),
            chosen: z.string(),
          }),
        ),
        override: z.string(),
      }),
    })
    .optional(),
  model: z.looseObject({
    adapter: z.string(),
    weightsHash: z.string(),
    configurationHash: z.string(),
  }),
  source: z.union([z.literal('none'), z.looseObject({ source: z.string(), model: z.string() })]),
  secondTeacher: z.looseObject({ source: z.string(), model: z.string() }).optional(),
  data: z.array(z.looseObject({ path: z.string(), sha256: z.string(), samples: z.int() })),
  recompute: z.enum(['none', 'layer']).optional(),
  acceptedChanges: z.array(z.looseObject({})).default([]),
});

export async function describeData(
  config: TrainConfig,
  sets: readonly { readonly count: number }[],
): Promise<RunManifest['data']> {
  const data: RunManifest['data'][number][] = [];
  for (const [index, { path }] of config.data.entries()) {
    data.push({ path, sha256: await knownHashes.of(path), samples: sets[index]!.count });
  }
  return data;
}

/**
 * @returns undefined where there is none.
 * @throws SpatialError FILE_INVALID for a file that is damaged or cannot be read.
 */
export async function readManifest(out: string): Promise<RunManifest | undefined> {
  const file = join(out, MANIFEST_FILE);
  const text = await readTextIfThere(file);
  if (text === undefined) return undefined;
  try {
    return manifestSchema.parse(parseJsonText(text)) as unknown as RunManifest;
  } catch (cause) {
    throw new SpatialError({
      code: 'FILE_INVALID',
      message: `${file}: not the manifest of a run (${describeProblem(cause)})`,
      hint: 'Restore the file, or start a new run in another `out` folder.',
      cause,
    });
  }
}

export async function writeManifest(out: string, manifest: RunManifest): Promise<void> {
  await writeFileAtomic(join(out, MANIFEST_FILE), `${JSON.stringify(manifest, null, 2)}\n`);
}
