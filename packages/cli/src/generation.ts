import { createHash } from 'node:crypto';
import { type GenerationSettingsV1, type SamplingSettingsV1, SpatialError } from '@spatialsv/core';
import type { Sampling } from '@spatialsv/eval';

/** How answers are generated, as options of commands say it. */
export interface GenerationOptions {
  /** Draw answers instead of taking the most probable token. */
  readonly sample: boolean;
  readonly seed: number;
  readonly temperature?: number;
  readonly topK?: number;
  readonly topP?: number;
  readonly minP?: number;
  readonly repetitionPenalty?: number;
  readonly maxNewTokens?: number;
}

/** What a command does: its own options, then the checkpoint's, then the usual ones. */
export interface GenerationPlan {
  readonly maxNewTokens: number;
  readonly repetitionPenalty: number;
  /** Greedy where absent. */
  readonly sampling?: Sampling;
}

/**
 * @param settings of the checkpoint. @param usualLength tokens of an answer at most where nobody says.
 * @throws SpatialError USAGE for options of sampling without `--sample`.
 */
export function planGeneration(
  settings: GenerationSettingsV1,
  options: GenerationOptions,
  usualLength: number,
): GenerationPlan {
  refuseWithoutSample(options);
  const { sampling, maxNewTokens, repetitionPenalty } = settings;
  return {
    maxNewTokens: options.maxNewTokens ?? maxNewTokens ?? usualLength,
    repetitionPenalty: options.repetitionPenalty ?? repetitionPenalty,
    ...(options.sample && { sampling: samplingOf(sampling, options) }),
  };
}

function samplingOf(
  { doSample: _, ...settings }: SamplingSettingsV1,
  { temperature, topK, topP, minP, seed }: GenerationOptions,
): Sampling {
  return {
    temperature: temperature ?? settings.temperature,
    topK: topK ?? settings.topK,
    topP: topP ?? settings.topP,
    minP: minP ?? settings.minP,
    seed,
  };
}

function refuseWithoutSample({ sample, temperature, topK, topP, minP }: GenerationOptions): void {
  if (sample) return;
  const options = {
    '--temperature': temperature,
    '--top-k': topK,
    '--top-p': topP,
    '--min-p': minP,
  };
  const given = Object.entries(options).find(([, value]) => value !== undefined);
  if (given === undefined) return;
  throw new SpatialError({
    code: 'USAGE',
    message: `${given[0]} ${given[1]}: changes nothing about greedy answers`,
    hint: 'Add --sample to draw the answer, or leave the option out.',
  });
}

/** The plan for one of many answers, which draws by a seed of its own: no matter which answers came before. */
export function planFor(plan: GenerationPlan, id: string): GenerationPlan {
  const { sampling } = plan;
  if (sampling === undefined) return plan;
  const digest = createHash('sha256').update(`${sampling.seed}:${id}`).digest();
  return { ...plan, sampling: { ...sampling, seed: digest.readUIntBE(0, 6) } };
}

/** How answers are generated and what of it the checkpoint says, in a line. */
export function describeGeneration(
  { sampling, repetitionPenalty, maxNewTokens }: GenerationPlan,
  settings: GenerationSettingsV1,
): string {
  const how =
    sampling === undefined
      ? 'greedy'
      : `drawn with seed ${sampling.seed} (${describeSampling(sampling)})`;
  const penalty = repetitionPenalty === 1 ? '' : `, repetition penalty ${repetitionPenalty}`;
  const line = `generation: ${how}${penalty}, at most ${maxNewTokens} tokens`;
  return [line, ...fromFile(settings, sampling !== undefined)].join('; ');
}

function fromFile(settings: GenerationSettingsV1, isDrawn: boolean): readonly string[] {
  const { file, sampling, repetitionPenalty, maxNewTokens, ignored = {} } = settings;
  if (file === undefined) return [];
  const taken = [
    ...(repetitionPenalty === 1 ? [] : [`repetition penalty ${repetitionPenalty}`]),
    ...(maxNewTokens === undefined ? [] : [`at most ${maxNewTokens} tokens`]),
    ...(sampling.doSample ? [`sampling (${describeSampling(sampling)})`] : []),
  ];
  const asked = taken.length === 0 ? [] : [`${file} asks for ${taken.join(', ')}`];
  const unfollowed = [
    ...(sampling.doSample && !isDrawn ? ['sampling (add --sample)'] : []),
    ...Object.entries(ignored).map(([name, value]) => `${name} ${JSON.stringify(value)}`),
  ];
  return unfollowed.length === 0 ? asked : [...asked, `not followed: ${unfollowed.join(', ')}`];
}

function describeSampling(sampling: Omit<SamplingSettingsV1, 'doSample'>): string {
  const { temperature, topK, topP, minP } = sampling;
  return [
    `temperature ${temperature}`,
    ...(topK === 0 ? [] : [`top-k ${topK}`]),
    ...(topP === 1 ? [] : [`top-p ${topP}`]),
    ...(minP === 0 ? [] : [`min-p ${minP}`]),
  ].join(', ');
}
