import {
  type BackboneV1,
  type GeometryHeadModelV1,
  type GeometryHeadV1,
  type GeometryLabelsV1,
  initialiseDistillation,
  type MappedTensor,
  type ParameterValues,
  readSpatialCheckpoint,
  type SpatialSettings,
} from '@spatialsv/core';
import { createTensor, type DeviceTensor, float32, type SpecTree } from '@spatialsv/engine';
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

/** 3D heads of a run. */
export interface RunHeads {
  /** Those that are trained. */
  readonly model: GeometryHeadModelV1;
  /** @throws SpatialError PLUGIN_UNKNOWN. */
  readonly find: (id: string) => GeometryHeadV1;
}

/**
 * Reads the weights to train, makes or reads the heads, and sets up the optimiser.
 * @param heads what the configuration asks for; `find` gives the head of the checkpoint that training starts from.
 * @param labels of some view set, from which the width of the distilled features is taken.
 */
export async function createModelState(
  config: TrainConfig,
  backbone: BackboneV1,
  heads: RunHeads,
  labels: GeometryLabelsV1 | undefined,
): Promise<ModelState> {
  const rates = baseRates(config);
  const trained = trainedWeights(config, backbone);
  const parameters: Record<string, TrainableParameter> = {};
  for await (const [name, data] of readMappedValues(trained)) {
    const group = backbone.parameterGroup(name) as TrainedGroup;
    parameters[name] = { data, group, shape: trained[name]!.shape };
  }
  const { spatial, values } = await spatialParameters(config, backbone, heads, labels);
  const trainHeads = labels !== undefined && rates.spatial > 0;
  if (trainHeads) {
    const spatialValues = mapValues(values, (value) => ({ ...value, group: 'spatial' as const }));
    Object.assign(parameters, spatialValues);
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
  heads: RunHeads,
  labels: GeometryLabelsV1 | undefined,
): Promise<{ spatial: SpatialSettings | undefined; values: ParameterValues }> {
  const stored = await readSpatialCheckpoint(config.model, heads.find);
  if (labels === undefined) return { spatial: stored, values: stored?.parameters ?? {} };
  const spatial = spatialSettings(config, backbone, heads.model, labels);
  const fits = stored !== undefined && settingsKey(stored) === settingsKey(spatial);
  return { spatial, values: fits ? stored.parameters : freshHeads(config, backbone, spatial) };
}

function spatialSettings(
  config: TrainConfig,
  backbone: BackboneV1,
  heads: GeometryHeadModelV1,
  labels: GeometryLabelsV1,
): SpatialSettings {
  const distils = config.losses.weights.distillation > 0;
  return {
    taps: config.taps ?? backbone.config.defaultTaps,
    heads,
    featureChannels: distils ? (labels.features?.channels ?? 0) : 0,
  };
}

const settingsKey = ({ taps, heads, featureChannels }: SpatialSettings): string =>
  JSON.stringify([taps, heads.headId, Object.entries(heads.options).sort(), featureChannels]);

function freshHeads(
  config: TrainConfig,
  backbone: BackboneV1,
  { heads, featureChannels }: SpatialSettings,
): ParameterValues {
  const { hiddenSize } = backbone.config;
  const values = heads.initialise(Array(4).fill(hiddenSize), config.seed);
  if (featureChannels === 0) return values;
  return { ...values, ...initialiseDistillation(hiddenSize, featureChannels, config.seed) };
}
