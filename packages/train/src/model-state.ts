import {
  type BackboneV1,
  type GeometryLabelsV1,
  initialiseDistillation,
  initialiseHeads,
  type MappedTensor,
  type ParameterValues,
} from '@spatialsv/core';
import { createTensor, type DeviceTensor, float32, type SpecTree } from '@spatialsv/engine';
import { readSpatialCheckpoint, type SpatialSettings } from '@spatialsv/eval';
import { readMappedValues } from './checkpoint/mapped-values.js';
import type { TrainConfig } from './config/schema.js';
import { baseRates, isTrained, type TrainedGroup } from './groups.js';
import { AdamwOptimizer, type TrainableParameter } from './optimizer/adamw-optimizer.js';
import { mapValues } from './records.js';

/** Parameters of a run: trained ones in the optimiser, the others frozen. */
export interface ModelState {
  readonly optimizer: AdamwOptimizer;
  /** How heads are attached; undefined when the run has no geometric labels and the model no heads. */
  readonly spatial: SpatialSettings | undefined;
  /** Heads and projectors that are not trained. */
  readonly frozenHeads: ParameterValues;
  readonly frozenSpecs: SpecTree;
  /** Frozen inputs that are not mapped from their file. */
  readonly frozenTensors: Readonly<Record<string, DeviceTensor>>;
}

/**
 * Reads the weights to train, makes or reads the heads, and sets up the optimiser.
 * @param labels of some view set, from which the width of the distilled features is taken.
 */
export async function createModelState(
  config: TrainConfig,
  backbone: BackboneV1,
  labels: GeometryLabelsV1 | undefined,
): Promise<ModelState> {
  const rates = baseRates(config);
  const trained = trainedWeights(config, backbone);
  const parameters: Record<string, TrainableParameter> = {};
  for await (const [name, data] of readMappedValues(trained)) {
    const group = backbone.parameterGroup(name) as TrainedGroup;
    parameters[name] = { data, group, shape: trained[name]!.shape };
  }
  const { spatial, values } = await spatialParameters(config, backbone, labels);
  const trainHeads = labels !== undefined && rates.spatial > 0;
  if (trainHeads) {
    const heads = mapValues(values, (value) => ({ ...value, group: 'spatial' as const }));
    Object.assign(parameters, heads);
  }
  const frozenHeads = trainHeads ? {} : values;
  const { betas, epsilon, weightDecay } = config.optimizer;
  const settings = { betas, epsilon, weightDecay };
  return {
    optimizer: await AdamwOptimizer.create(parameters, settings, config.device),
    spatial,
    frozenHeads,
    frozenSpecs: {
      ...frozenWeights(config, backbone),
      ...mapValues(frozenHeads, ({ shape }) => float32(...shape)),
    },
    frozenTensors: mapValues(frozenHeads, ({ data, shape }) =>
      createTensor(float32(...shape), data.slice(), config.device),
    ),
  };
}

type Weights = Readonly<Record<string, MappedTensor>>;

function trainedWeights(config: TrainConfig, backbone: BackboneV1): Weights {
  const rates = baseRates(config);
  return pick(backbone.weights, (name) => isTrained(backbone.parameterGroup(name), rates));
}

/** Weights of groups whose rate is 0; the vision encoder runs in a program of its own. */
function frozenWeights(config: TrainConfig, backbone: BackboneV1): Weights {
  const rates = baseRates(config);
  return pick(backbone.weights, (name) => {
    const group = backbone.parameterGroup(name);
    return group !== 'vision' && !isTrained(group, rates);
  });
}

function pick(weights: Weights, keep: (name: string) => boolean): Weights {
  return Object.fromEntries(Object.entries(weights).filter(([name]) => keep(name)));
}

/** Heads of the checkpoint where it has fitting ones, fresh ones otherwise. */
async function spatialParameters(
  config: TrainConfig,
  backbone: BackboneV1,
  labels: GeometryLabelsV1 | undefined,
): Promise<{ spatial: SpatialSettings | undefined; values: ParameterValues }> {
  const stored = await readSpatialCheckpoint(config.model);
  if (labels === undefined) return { spatial: stored, values: stored?.parameters ?? {} };
  const spatial = spatialSettings(config, backbone, labels);
  const fits = stored !== undefined && settingsKey(stored) === settingsKey(spatial);
  return { spatial, values: fits ? stored.parameters : freshHeads(config, backbone, spatial) };
}

function spatialSettings(
  config: TrainConfig,
  backbone: BackboneV1,
  labels: GeometryLabelsV1,
): SpatialSettings {
  const distils = config.losses.weights.distillation > 0;
  return {
    taps: config.taps ?? backbone.config.defaultTaps,
    heads: config.heads,
    featureChannels: distils ? (labels.features?.channels ?? 0) : 0,
  };
}

const settingsKey = ({ taps, heads, featureChannels }: SpatialSettings): string =>
  JSON.stringify([taps, Object.entries(heads).sort(), featureChannels]);

function freshHeads(
  config: TrainConfig,
  backbone: BackboneV1,
  { featureChannels }: SpatialSettings,
): ParameterValues {
  const { hiddenSize } = backbone.config;
  const heads = initialiseHeads(config.heads, Array(4).fill(hiddenSize), config.seed);
  if (featureChannels === 0) return heads;
  return { ...heads, ...initialiseDistillation(hiddenSize, featureChannels, config.seed) };
}
