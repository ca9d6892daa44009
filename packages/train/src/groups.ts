import type { ParameterGroup } from '@spatialsv/core';
import type { TrainConfig } from './config/schema.js';

/** Groups with a learning rate of their own (Table 6); the vision encoder is frozen (paper, section 3.1). */
export const TRAINED_GROUPS = ['language-model', 'projector', 'spatial'] as const;
export type TrainedGroup = (typeof TRAINED_GROUPS)[number];

export type RatesByGroup = Readonly<Record<TrainedGroup, number>>;

/** Base learning rate of each group. */
export function baseRates({ optimizer }: Pick<TrainConfig, 'optimizer'>): RatesByGroup {
  const { languageModel, projector, spatial } = optimizer.learningRates;
  return { 'language-model': languageModel, projector, spatial };
}

/** Whether parameters of a group are trained: its rate is not 0. */
export function isTrained(group: ParameterGroup, rates: RatesByGroup): group is TrainedGroup {
  return group !== 'vision' && rates[group] > 0;
}
