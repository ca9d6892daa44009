import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { z } from 'zod';
import { builtInContributions } from './built-in.js';
import { SpatialError } from './errors.js';
import { readTextIfThere, writeFileAtomic } from './files.js';
import { parseJsonText } from './json.js';
import { float32Source, openSafetensors, writeSafetensors } from './safetensors/index.js';
import type { GeometryHeadModelV1, GeometryHeadV1, ParameterValues } from './spec.js';

/** Sub-folder of a checkpoint with what the Hugging Face layout does not hold. */
export const SPATIAL_FOLDER = 'spatialsv';
const SETTINGS = 'settings.json';
const WEIGHTS = 'heads.safetensors';

/** Projectors and heads of a checkpoint, and how they are attached to its backbone. */
export interface SpatialSettings {
  /** Layers whose hidden states feed the heads, shallow to deep; none where there is only a distillation projector. */
  readonly taps: readonly number[];
  readonly heads: GeometryHeadModelV1;
  /** Channels of the distilled features; 0 without a distillation projector. */
  readonly featureChannels: number;
}

export interface SpatialCheckpoint extends SpatialSettings {
  /** Every `spatial.*` parameter, float32. */
  readonly parameters: ParameterValues;
}

const settingsSchema = z.object({
  version: z.literal(1),
  taps: z.array(z.int().min(0)),
  /** Id of the head; `heads` are its options. */
  head: z.string().min(1).default('dpt'),
  heads: z.unknown(),
  featureChannels: z.int().min(0),
});

/** Writes `spatialsv/` into a checkpoint folder. */
export async function writeSpatialCheckpoint(
  folder: string,
  checkpoint: SpatialCheckpoint,
): Promise<void> {
  const { parameters, taps, heads, featureChannels } = checkpoint;
  const target = join(folder, SPATIAL_FOLDER);
  await mkdir(target, { recursive: true });
  const tensors = Object.entries(parameters).map(
    ([name, { data, shape }]) => [name, float32Source(data, shape)] as const,
  );
  await writeSafetensors(join(target, WEIGHTS), new Map(tensors));
  const { headId: head, options } = heads;
  const settings = { version: 1, taps, head, heads: options, featureChannels };
  const text = JSON.stringify(settings, null, 2);
  await writeFileAtomic(join(target, SETTINGS), `${text}\n`);
}

/**
 * Reads `spatialsv/` of a checkpoint folder.
 * @param findHead gives the head of an id; `resolveGeometryHead` of a registry where plugins are loaded.
 * @returns undefined for a plain checkpoint, which has no heads.
 * @throws SpatialError FILE_INVALID for settings that this version cannot read; WEIGHT_* as the weights file is wrong;
 *   PLUGIN_UNKNOWN for a head that is not there.
 */
export async function readSpatialCheckpoint(
  folder: string,
  findHead: (id: string) => GeometryHeadV1 = builtInContributions().resolveGeometryHead,
): Promise<SpatialCheckpoint | undefined> {
  const file = join(folder, SPATIAL_FOLDER, SETTINGS);
  const text = await readTextIfThere(file);
  if (text === undefined) return undefined;
  const { taps, head, heads, featureChannels } = parseSettings(text, file);
  const reader = await openSafetensors(join(folder, SPATIAL_FOLDER, WEIGHTS));
  const parameters: ParameterValues = {};
  for (const [name, { shape }] of reader.tensors) {
    parameters[name] = { data: await reader.readFloat32(name), shape };
  }
  const model = await findHead(head).configure(heads);
  requireTapCount(model, taps, { where: file, key: 'taps' });
  return { taps, heads: model, featureChannels, parameters };
}

/**
 * @param place of the taps, for messages, and their key there.
 * @throws SpatialError CONFIG_INVALID unless there are as many taps as the heads take.
 */
export function requireTapCount(
  { headId, tapCount }: GeometryHeadModelV1,
  taps: readonly number[],
  { where, key }: { readonly where: string; readonly key: string },
): void {
  if (taps.length === tapCount) return;
  const layers = tapCount === 1 ? 'layer' : 'layers';
  throw new SpatialError({
    code: 'CONFIG_INVALID',
    message: `${where}: heads "${headId}" take ${tapCount} tapped ${layers} as they are configured, found [${taps.join(', ')}]`,
    hint: `Name ${tapCount} ${layers} under \`${key}\`, shallow to deep, or configure the heads for ${taps.length}.`,
  });
}

function parseSettings(text: string, file: string): z.output<typeof settingsSchema> {
  const fail = (problem: string, cause?: unknown): SpatialError =>
    new SpatialError({
      code: 'FILE_INVALID',
      message: `${file}: not the settings of a SpatialSV checkpoint (${problem})`,
      hint: 'The checkpoint was written by another version or is damaged: copy it again, or train anew.',
      cause,
    });
  let value: unknown;
  try {
    value = parseJsonText(text);
  } catch (cause) {
    throw fail((cause as Error).message, cause);
  }
  const parsed = settingsSchema.safeParse(value);
  if (parsed.success) return parsed.data;
  const problems = parsed.error.issues.map(({ path, message }) => `${path.join('.')}: ${message}`);
  throw fail(problems.join('; '), parsed.error);
}
