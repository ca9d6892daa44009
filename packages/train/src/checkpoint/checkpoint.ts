import { mkdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import {
  type BackboneV1,
  describeProblem,
  float32Source,
  isLowRankName,
  listIfThere,
  openSafetensors,
  type ParameterValues,
  type PeftSettings,
  parseJsonText,
  removeFolderAtomic,
  SpatialError,
  type SpatialSettings,
  writeFileAtomic,
  writeFolderAtomic,
  writePeftAdapter,
  writeSafetensors,
  writeSpatialCheckpoint,
} from '@spatialsv/core';
import { z } from 'zod';
import { requireFinite } from '../non-finite.js';
import type { AdamwOptimizer } from '../optimizer/adamw-optimizer.js';
import type { Tensors } from '../optimizer/group-update.js';
import type { WeightAverage } from '../optimizer/weight-average.js';

/** Sub-folder of a checkpoint with what only training needs. */
const TRAINER_FOLDER = 'trainer';
const STATE_FILE = 'state.safetensors';
const RECORD_FILE = 'trainer.json';

const numbers = z.array(z.number()).readonly();
const adaptiveSchema = z.object({ logVariances: numbers, first: numbers, second: numbers });

const recordSchema = z.object({
  version: z.literal(1),
  /** Optimiser steps taken. */
  step: z.int().min(0),
  /** Samples seen: the position in the sample order. */
  position: z.int().min(0),
  /** The order's seed. */
  seed: z.int(),
  /** Of a run that learns the weights of its terms. */
  adaptive: adaptiveSchema.optional(),
});

export type TrainerRecord = Omit<z.output<typeof recordSchema>, 'version'>;

export interface CheckpointContent {
  readonly backbone: BackboneV1;
  readonly optimizer: AdamwOptimizer;
  readonly spatial?: SpatialSettings | undefined;
  /** Averages of the parameters, where they are kept. */
  readonly average?: WeightAverage | undefined;
  /** What the model files hold of the trained parameters: them, or their averages. */
  readonly published: Tensors;
  /** Heads and projectors that are not trained. */
  readonly frozenHeads: ParameterValues;
  /** Of a run with low-rank updates: its checkpoints hold an adapter instead of the whole model. */
  readonly adapter?: PeftSettings | undefined;
  readonly record: TrainerRecord;
}

/** What is kept of every trained parameter, by name in the file. */
const keptTensors = ({ optimizer, average }: Pick<CheckpointContent, 'optimizer' | 'average'>) => ({
  parameters: optimizer.parameters,
  first: optimizer.first,
  second: optimizer.second,
  ...(average && { average: average.tensors }),
});

const isSpatial = (name: string): boolean => name.startsWith('spatial.');

const CHECKPOINTS = 'checkpoints';

/** Folder that holds the checkpoints of a run. */
export const checkpointsFolder = (out: string): string => join(out, CHECKPOINTS);

/** Folder of the checkpoint after `step` optimiser steps. */
export const checkpointFolder = (out: string, step: number): string =>
  join(out, CHECKPOINTS, `step-${step}`);

/**
 * Writes a checkpoint: the backbone's own layout, or with low-rank updates that of PEFT; `spatialsv/` with the heads, `trainer/` with float32 parameters and
 * moments. A crash leaves no half checkpoint, and no other one is touched; it is on the disk when this returns.
 * @returns its folder.
 * @throws SpatialError NON_FINITE for a state with a value that is not finite: nothing is written then.
 */
export async function saveCheckpoint(out: string, content: CheckpointContent): Promise<string> {
  const folder = checkpointFolder(out, content.record.step);
  await writeFolderAtomic(folder, async (temporary) => {
    await saveTrainer(join(temporary, TRAINER_FOLDER), content);
    await saveModel(temporary, content);
  });
  return folder;
}

async function saveModel(folder: string, content: CheckpointContent) {
  const { backbone, published, spatial, adapter } = content;
  const replaced: ParameterValues = {};
  const updates: ParameterValues = {};
  const heads: ParameterValues = { ...content.frozenHeads };
  for (const [name, tensor] of Object.entries(published)) {
    const into = isSpatial(name) ? heads : isLowRankName(name) ? updates : replaced;
    into[name] = { data: (await tensor.read()) as Float32Array, shape: tensor.shape };
  }
  if (adapter === undefined)
    await backbone.save(
      folder,
      new Map(Object.entries(replaced).map(([name, { data }]) => [name, data])),
    );
  else
    await writePeftAdapter(folder, { updates, replaced }, adapter, Object.keys(backbone.weights));
  if (spatial !== undefined)
    await writeSpatialCheckpoint(folder, { ...spatial, parameters: heads });
}

async function saveTrainer(folder: string, content: CheckpointContent) {
  const { record } = content;
  await mkdir(folder);
  const tensors = new Map<string, ReturnType<typeof float32Source>>();
  for (const [kind, kept] of Object.entries(keptTensors(content))) {
    for (const [name, tensor] of Object.entries(kept)) {
      const data = (await tensor.read()) as Float32Array;
      requireFinite(`${kind}/${name}`, data, record.step);
      tensors.set(`${kind}/${name}`, float32Source(data, tensor.shape));
    }
  }
  await writeSafetensors(join(folder, STATE_FILE), tensors);
  const text = JSON.stringify({ version: 1, ...record }, null, 2);
  await writeFileAtomic(join(folder, RECORD_FILE), `${text}\n`);
}

/** Complete checkpoints of a run folder by step, oldest first. */
export async function listCheckpoints(out: string): Promise<readonly number[]> {
  const names = await listIfThere(checkpointsFolder(out));
  const steps = names.flatMap((name) => /^step-(\d+)$/.exec(name)?.[1] ?? []).map(Number);
  return steps.sort((a, b) => a - b);
}

/** Deletes all but the newest `keep` checkpoints, and the best where there is one. */
export async function pruneCheckpoints(out: string, keep: number, best?: number): Promise<void> {
  for (const step of (await listCheckpoints(out)).slice(0, -keep)) {
    if (step !== best) await removeFolderAtomic(checkpointFolder(out, step));
  }
}

/**
 * Puts parameters and moments of a checkpoint into the optimiser, and averages where they are kept.
 * @throws SpatialError FILE_INVALID, WEIGHT_MISSING, SHAPE_MISMATCH when the checkpoint is of another run.
 */
export async function restoreCheckpoint(
  folder: string,
  content: Pick<CheckpointContent, 'optimizer' | 'average'>,
): Promise<TrainerRecord> {
  const record = await readRecord(join(folder, TRAINER_FOLDER, RECORD_FILE));
  const file = join(folder, TRAINER_FOLDER, STATE_FILE);
  const reader = await openSafetensors(file);
  for (const [kind, kept] of Object.entries(keptTensors(content))) {
    for (const [name, tensor] of Object.entries(kept)) {
      requireShape(file, reader.info(`${kind}/${name}`), tensor.shape);
      const values = (await tensor.read()) as Float32Array;
      await reader.readFloat32Into(`${kind}/${name}`, values);
      await tensor.write(values);
    }
  }
  return record;
}

function requireShape(
  file: string,
  stored: { readonly name: string; readonly shape: readonly number[] },
  expected: readonly number[],
): void {
  if (stored.shape.join() === expected.join()) return;
  throw new SpatialError({
    code: 'SHAPE_MISMATCH',
    message: `${file}: ${stored.name}: expected (${expected.join(', ')}), found (${stored.shape.join(', ')})`,
    hint: 'The checkpoint belongs to another model or other heads; resume with the configuration that wrote it.',
  });
}

async function readRecord(file: string): Promise<TrainerRecord> {
  try {
    return recordSchema.parse(parseJsonText(await readFile(file, 'utf8')));
  } catch (cause) {
    throw new SpatialError({
      code: 'FILE_INVALID',
      message: `${file}: not the record of a training checkpoint (${describeProblem(cause)})`,
      hint: 'Delete this checkpoint folder and resume from the one before.',
      cause,
    });
  }
}
