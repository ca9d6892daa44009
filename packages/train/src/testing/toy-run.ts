import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { type TrainConfig, type TrainConfigInput, trainConfigSchema } from '../config/schema.js';
import { writeToyCheckpoint } from './toy-backbone.js';
import { writeToyDataset } from './toy-data.js';

/** One head and one scale: small programs compile fast. */
export const TOY_HEADS = {
  preset: 'tiny' as const,
  outputScale: 2,
  projectorChannels: 16,
  tasks: ['depth' as const],
};

/** The maps of so small images have no coarser one. */
export const ONE_SCALE = { gradientScales: 1, normalScales: 1 };

/** Writes what {@link toyConfig} trains on: `model/`, and samples in `data.jsonl`. */
export async function writeToyInputs(folder: string, samples = 6): Promise<void> {
  await mkdir(join(folder, 'model'), { recursive: true });
  await writeToyCheckpoint(join(folder, 'model'), 1);
  await writeToyDataset(folder, samples);
}

/** Four steps of two samples on what {@link writeToyInputs} wrote. @param out name of the run folder in it. */
export function toyConfig(
  folder: string,
  out: string,
  input: Partial<TrainConfigInput> = {},
): TrainConfig {
  return trainConfigSchema.parse({
    model: join(folder, 'model'),
    data: [{ path: join(folder, 'data.jsonl') }],
    source: 'toy',
    heads: TOY_HEADS,
    losses: ONE_SCALE,
    out: join(folder, out),
    batchSize: 2,
    schedule: { steps: 4, warmupRatio: 0 },
    optimizer: { learningRates: { languageModel: 1e-2, projector: 1e-2, spatial: 1e-2 } },
    checkpointEvery: 0,
    ...input,
  });
}
