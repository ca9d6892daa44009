import path from 'node:path';
import { isJsonObject, type JsonObject } from '../json.js';
import type { GenerationSettingsV1, SamplingSettingsV1 } from '../spec.js';
import { type ConfigFields, configFields, invalidField } from './config-fields.js';
import { readOptionalJson } from './optional-file.js';

const FILE = 'generation_config.json';

/** What counts where a file says nothing, as in `transformers`. */
export const SAMPLING_DEFAULTS: SamplingSettingsV1 = {
  doSample: false,
  temperature: 1,
  topK: 50,
  topP: 1,
  minP: 0,
};

/**
 * What a checkpoint says about its answers: generation_config.json, and where that file is missing the same keys of
 * config.json, then of its `text_config`, as `transformers` does.
 * @param config content of config.json.
 * @param endIds tokens that end an answer of the family in any case, for example its end of turn.
 * @throws SpatialError FILE_INVALID for a damaged file, CONFIG_INVALID for a value out of range.
 */
export async function readGenerationSettings(
  folder: string,
  config: JsonObject,
  endIds: readonly number[] = [],
): Promise<GenerationSettingsV1> {
  const file = await readOptionalJson(folder, FILE);
  const found = file ?? ofModel(config);
  const name = file === undefined ? 'config.json' : FILE;
  const fields = configFields(found, path.join(folder, name));
  const fileIds = [file ?? {}, config, textConfig(config)].map(endIdsOf).find((ids) => ids.length);
  const ignored = ignoredSettings(found);
  return {
    endOfTurnIds: [...new Set([...endIds, ...(fileIds ?? [])])],
    repetitionPenalty: fields.positive('repetition_penalty', 1),
    ...(fields.has('max_new_tokens') && { maxNewTokens: fields.integer('max_new_tokens') }),
    sampling: readSampling(fields),
    ...(Object.keys(found).length > 0 && { file: name }),
    ...(Object.keys(ignored).length > 0 && { ignored }),
  };
}

function readSampling(fields: ConfigFields): SamplingSettingsV1 {
  const { doSample, temperature, topK } = SAMPLING_DEFAULTS;
  return {
    doSample: fields.boolean('do_sample', doSample),
    // Files of greedy checkpoints say 0, which only means that nothing is drawn.
    temperature:
      zeroAsDefault(fields, 'temperature') ?? fields.positive('temperature', temperature),
    topK: fields.integer('top_k', topK),
    topP: share(fields, 'top_p', SAMPLING_DEFAULTS.topP),
    minP: share(fields, 'min_p', SAMPLING_DEFAULTS.minP),
  };
}

const zeroAsDefault = ({ object }: ConfigFields, key: string): number | undefined =>
  object[key] === 0 && object['do_sample'] !== true ? SAMPLING_DEFAULTS.temperature : undefined;

function share({ object, where }: ConfigFields, key: string, fallback: number): number {
  const value = object[key] ?? fallback;
  if (typeof value === 'number' && value >= 0 && value <= 1) return value;
  throw invalidField(`${where}.${key}`, 'a number from 0 to 1', value);
}

// ---------------------------------------------------------------------------------------------- keys

const READ = [
  'repetition_penalty',
  'max_new_tokens',
  'do_sample',
  'temperature',
  'top_k',
  'top_p',
  'min_p',
] as const;

/** Settings of `transformers` that change what is generated and are not followed, with the values that change nothing. */
const NOT_FOLLOWED: Readonly<Record<string, readonly unknown[]>> = {
  num_beams: [1],
  typical_p: [1],
  top_h: [],
  epsilon_cutoff: [0],
  eta_cutoff: [0],
  no_repeat_ngram_size: [0],
  min_length: [0],
  min_new_tokens: [0],
  bad_words_ids: [],
  forced_bos_token_id: [],
  forced_eos_token_id: [],
  suppress_tokens: [],
  begin_suppress_tokens: [],
  sequence_bias: [],
  exponential_decay_length_penalty: [],
  guidance_scale: [1],
  stop_strings: [],
  penalty_alpha: [0],
  watermarking_config: [],
};

function ignoredSettings(found: JsonObject): JsonObject {
  const entries = Object.entries(NOT_FOLLOWED).flatMap(([key, neutral]) => {
    const value = found[key] ?? null;
    return value === null || neutral.includes(value) ? [] : [[key, value] as const];
  });
  return Object.fromEntries(entries);
}

/** The settings that a model's own configuration holds: those of the decoder where the outer ones say nothing. */
function ofModel(config: JsonObject): JsonObject {
  const inner = textConfig(config);
  const keys = [...READ, ...Object.keys(NOT_FOLLOWED)];
  const entries = keys.flatMap((key) => {
    const value = config[key] ?? inner[key] ?? null;
    return value === null ? [] : [[key, value] as const];
  });
  return Object.fromEntries(entries);
}

function textConfig(config: JsonObject): JsonObject {
  const nested = config['text_config'] ?? config['llm_config'];
  return isJsonObject(nested) ? nested : {};
}

function endIdsOf(file: JsonObject): readonly number[] {
  const found = file['eos_token_id'] ?? [];
  const ids: readonly unknown[] = Array.isArray(found) ? found : [found];
  return ids.filter((id): id is number => Number.isInteger(id));
}
