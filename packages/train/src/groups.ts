import { matchesName, nearestName, type ParameterGroup, SpatialError } from '@spatialsv/core';
import type { RunConfig } from './config/run-config.js';

/** Groups with a learning rate of their own (Table 6); the vision encoder is frozen (paper, section 3.1). */
export const TRAINED_GROUPS = ['language-model', 'projector', 'spatial'] as const;
export type TrainedGroup = (typeof TRAINED_GROUPS)[number];

export type RatesByGroup = Readonly<Record<TrainedGroup, number>>;

/** Base learning rate of each group. */
export function baseRates({ optimizer }: Pick<RunConfig, 'optimizer'>): RatesByGroup {
  const { languageModel, projector, spatial } = optimizer.learningRates;
  return { 'language-model': languageModel, projector, spatial };
}

/** Whether parameters are trained, by name and group. */
export type TrainedFilter = (name: string, group: ParameterGroup) => group is TrainedGroup;

/** Part of the configuration's `train` that a group is. */
const PART_OF_GROUP = {
  'language-model': 'llm',
  projector: 'mm',
  spatial: 'heads3d',
} as const satisfies Record<TrainedGroup, keyof RunConfig['train']>;

/** How a parameter is trained: what the last pattern that fits its name says, or else its part. */
export function trainedMode(
  { train: { names, ...parts } }: Pick<RunConfig, 'train'>,
  name: string,
  group: TrainedGroup,
): RunConfig['train']['llm'] {
  const fitting = Object.entries(names).filter(([pattern]) => matchesName(pattern, name));
  return fitting.at(-1)?.[1] ?? parts[PART_OF_GROUP[group]];
}

/**
 * A parameter is trained as a whole where its part is, the rate of its group is not 0 and, if there are patterns, one of them fits its
 * name.
 */
export function trainedFilter(
  config: Pick<RunConfig, 'optimizer' | 'train'> & Partial<Pick<RunConfig, 'trained'>>,
): TrainedFilter {
  const rates = baseRates(config);
  const { trained: patterns } = config;
  return (name, group): group is TrainedGroup =>
    group !== 'vision' &&
    trainedMode(config, name, group) === 'full' &&
    rates[group] > 0 &&
    (patterns?.some((pattern) => matchesName(pattern, name)) ?? true);
}

/**
 * @param names of every weight and of the parameters of the heads.
 * @throws SpatialError CONFIG_INVALID for a pattern under `train.names` that fits none of them.
 */
export function requireModesFit(
  { train }: Pick<RunConfig, 'train'>,
  names: readonly string[],
): void {
  const idle = Object.keys(train.names).find(
    (pattern) => !names.some((name) => matchesName(pattern, name)),
  );
  if (idle !== undefined) throw noFit('train.names', idle, names);
}

/**
 * @param names parameters that could be trained.
 * @throws SpatialError CONFIG_INVALID for a pattern that fits none of them.
 */
export function requirePatternsFit(
  { trained = [] }: Pick<RunConfig, 'trained'>,
  names: readonly string[],
): void {
  const idle = trained.find((pattern) => !names.some((name) => matchesName(pattern, name)));
  if (idle !== undefined) throw noFit('trained', idle, names);
}

/**
 * Which of the trained parameters weight decay pulls: all but those that the patterns under `optimizer.noDecay` fit; without
 * patterns those of two and more dimensions, which leaves out biases and the weights of norms.
 * @throws SpatialError CONFIG_INVALID for a pattern that fits none of them.
 */
export function decayFilter(
  { optimizer: { noDecay } }: Pick<RunConfig, 'optimizer'>,
  parameters: Readonly<Record<string, { readonly shape: readonly number[] }>>,
): (name: string) => boolean {
  if (noDecay === undefined) return (name) => parameters[name]!.shape.length > 1;
  const names = Object.keys(parameters);
  const idle = noDecay.find((pattern) => !names.some((name) => matchesName(pattern, name)));
  if (idle !== undefined) throw noFit('optimizer.noDecay', idle, names);
  return (name) => !noDecay.some((pattern) => matchesName(pattern, name));
}

/** A pattern of the configuration that fits no name. */
export function noFit(key: string, pattern: string, names: readonly string[]): SpatialError {
  const near = nearestName(names, pattern);
  return new SpatialError({
    code: 'CONFIG_INVALID',
    message: `${key}: "${pattern}" fits nothing that can be trained`,
    hint:
      near === undefined
        ? 'Give a learning rate above 0 to the group of the parameters that you mean.'
        : `The nearest is ${near}; * stands for one part of a name, ** for any number of parts.`,
  });
}
