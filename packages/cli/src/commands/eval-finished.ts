/** An evaluation that is finished is repeated from its run folder, without its model. */
import { createHash } from 'node:crypto';
import { dirname, extname, resolve } from 'node:path';
import {
  type BackboneV1,
  canonicalJson,
  hashModelFiles,
  knownHashes,
  type PluginRegistry,
  readCheckpointConfig,
  SpatialError,
  settingOfPrecision,
} from '@spatialsv/core';
import type { BenchmarkQuestionV1 } from '@spatialsv/core/spec';
import {
  evaluationResults,
  finishedEvaluation,
  hashAnswers,
  knownStatistics,
  type Protocol,
  readResults,
  type WrittenResults,
} from '@spatialsv/eval';
import { parseSettings } from '../settings.js';
import { targetOf } from '../target.js';
import { packageVersion } from '../version.js';
import type { EvalOptions } from './eval-options.js';

/** Options that answers depend on, beside those of sampling. @throws SpatialError USAGE for a setting that is none. */
export function settingsOf(options: EvalOptions) {
  const { maxNewTokens, minPixels, maxPixels, frames, set } = options;
  return {
    ...{ maxNewTokens, minPixels, maxPixels, frames },
    ...settingOfPrecision(targetOf(options).precision),
    ...(set !== undefined && { settings: parseSettings('--set', set) }),
  };
}

/**
 * Hash of all that the identity of an evaluation is made from: the files of the model, the adapter that reads them, and options.
 * @returns undefined where there is no such model: opening it says why.
 */
export async function originOf(
  options: EvalOptions,
  plugins: PluginRegistry,
): Promise<string | undefined> {
  const { model, sample, seed, temperature, topK, topP, minP, repetitionPenalty } = options;
  try {
    const adapter = plugins.resolveBackboneAdapter(await readCheckpointConfig(model)).id;
    const files = await hashModelFiles(model, knownHashes.of);
    await knownHashes.keep();
    const sampling = sample ? { seed, temperature, topK, topP, minP } : undefined;
    const asked = { ...settingsOf(options), sampling, repetitionPenalty };
    const content = canonicalJson(given({ adapter, files, version: packageVersion(), ...asked }));
    return createHash('sha256').update(content).digest('hex');
  } catch (error) {
    if (SpatialError.isInstance(error)) return undefined;
    throw error;
  }
}

/** Without what is undefined. */
const given = (values: object): unknown => JSON.parse(JSON.stringify(values));

/** Whether all weights lie in files that {@link originOf} knows of. */
export const isWholeOrigin = ({ folder, weights }: BackboneV1): boolean =>
  Object.values(weights).every(
    ({ file }) => extname(file) === '.safetensors' && dirname(resolve(file)) === resolve(folder),
  );

export interface RepeatRequest extends Protocol {
  readonly options: EvalOptions;
  readonly origin: string;
  readonly questions: readonly BenchmarkQuestionV1[];
  readonly leftOut: number;
}

/** @returns the results; undefined where something is to be asked, or the results were not written to the end. */
export async function repeatFinished({
  options: { out, shard, seed },
  origin,
  questions,
  leftOut,
  ...protocol
}: RepeatRequest): Promise<WrittenResults | undefined> {
  const finished = await finishedEvaluation({ ...protocol, path: out, origin, questions, shard });
  if (finished === undefined) return undefined;
  const answersHash = await hashAnswers(out);
  const written = await readResults(out, answersHash);
  if (written === undefined) return undefined;
  const known = knownStatistics(written, seed);
  const results = evaluationResults(protocol, finished.answers, seed, known);
  return { ...written, ...results, leftOut, answersHash };
}
