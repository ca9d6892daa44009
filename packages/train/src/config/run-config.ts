import type { BackboneConfigV1, LearningRatesV1 } from '@spatialsv/core';
import { defaultPrecision, type Precision } from '@spatialsv/engine';
import type { TrainConfig } from './schema.js';

/** A configuration with what it leaves to the model filled in. */
export type RunConfig = TrainConfig & {
  readonly precision: Precision;
  readonly optimizer: { readonly learningRates: LearningRatesV1 };
};

/** Where a value comes from: the configuration file, or the adapter of the model. */
export type Origin = 'configuration' | 'model';

/** What a run takes that its configuration need not say. */
export interface ModelDefaults {
  /** The published model of this shape, where there is one. */
  readonly model?: string;
  /** None where no heads are trained. */
  readonly taps: { readonly values: readonly number[]; readonly from: Origin };
  readonly learningRates: Readonly<
    Record<keyof LearningRatesV1, { readonly value: number; readonly from: Origin }>
  >;
}

/** Fills in the learning rates of the model, and the precision of the device, where the configuration has none. */
export function completeConfig(config: TrainConfig, model: BackboneConfigV1): RunConfig {
  const { optimizer } = config;
  const learningRates = Object.fromEntries(
    rateNames(model).map((name) => [
      name,
      optimizer.learningRates[name] ?? model.learningRates[name],
    ]),
  ) as Record<keyof LearningRatesV1, number>;
  const precision = config.precision ?? defaultPrecision(config.device);
  return { ...config, precision, optimizer: { ...optimizer, learningRates } };
}

/**
 * Taps and learning rates of a run, and where they come from.
 * @param config as it was written. @param taps of the run.
 */
export function modelDefaults(
  config: TrainConfig,
  model: BackboneConfigV1,
  taps: readonly number[],
): ModelDefaults {
  const given = config.optimizer.learningRates;
  const rates = rateNames(model).map((name) => {
    const value = given[name] ?? model.learningRates[name];
    return [name, { value, from: given[name] === undefined ? 'model' : 'configuration' }] as const;
  });
  return {
    ...(model.model !== undefined && { model: model.model }),
    taps: { values: taps, from: config.layers === undefined ? 'model' : 'configuration' },
    learningRates: Object.fromEntries(rates) as ModelDefaults['learningRates'],
  };
}

const rateNames = ({ learningRates }: BackboneConfigV1) =>
  Object.keys(learningRates) as readonly (keyof LearningRatesV1)[];
