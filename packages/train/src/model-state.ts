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
import { AdaptiveWeights } from './adaptive-weights.js';
import { mappedReader } from './checkpoint/mapped-values.js';
import type { RunConfig } from './config/run-config.js';
import {
  decayFilter,
  requireModesFit,
  requirePatternsFit,
  type TrainedGroup,
  trainedFilter,
} from './groups.js';
import { DropoutSeeds } from './lora/dropout-seeds.js';
import { type LoraLayer, loraConstants, loraLayers, loraParameters } from './lora/lora-layers.js';
import { AdamwOptimizer, type TrainableParameter } from './optimizer/adamw-optimizer.js';
import type { Tensors } from './optimizer/group-update.js';
import { WeightAverage } from './optimizer/weight-average.js';
import { mapValues } from './records.js';

/** Parameters of a run: trained ones in the optimiser, the others frozen. */
export interface ModelState {
  readonly optimizer: AdamwOptimizer;
  /** Averages of the parameters, where they are kept. */
  readonly average: WeightAverage | undefined;
  /** Values of the trained parameters that are measured and written as the model: them, or their averages. */
  readonly published: Tensors;
  /** How heads are attached; undefined when the run has no geometric labels and the model no heads. */
  readonly spatial: SpatialSettings | undefined;
  /** Heads and projectors that are not trained. */
  readonly frozenHeads: ParameterValues;
  readonly frozenSpecs: SpecTree;
  /** Frozen inputs that are not mapped from their file. */
  readonly frozenTensors: Readonly<Record<string, DeviceTensor>>;
  /** Layers with a low-rank update. */
  readonly loraLayers: readonly LoraLayer[];
  /** What their dropout follows from. */
  readonly dropout: DropoutSeeds;
  /** Weights of the terms, where they are learnt. */
  readonly adaptive: AdaptiveWeights;
}

/** 3D heads of a run. */
export interface RunHeads {
  /** Those that are trained. */
  readonly model: GeometryHeadModelV1;
  /** Tapped layers that feed them: 0 = embeddings … L = after the final norm. */
  readonly taps: readonly number[];
  /** @throws SpatialError PLUGIN_UNKNOWN. */
  readonly find: (id: string) => GeometryHeadV1;
}

/**
 * Reads the weights to train, makes or reads the heads, and sets up the optimiser.
 * @param heads what the configuration asks for; `find` gives the head of the checkpoint that training starts from.
 * @param labels of some view set, from which the width of the distilled features is taken.
 */
export async function createModelState(
  config: RunConfig,
  backbone: BackboneV1,
  heads: RunHeads,
  labels: GeometryLabelsV1 | undefined,
): Promise<ModelState> {
  const stored = backboneParameters(config, backbone);
  const { spatial, values } = await spatialParameters(config, backbone, heads, labels);
  const split = splitHeads(config, values, labels !== undefined);
  const layers = loraLayers(config, backbone);
  const parameters = { ...stored, ...split.trained, ...loraParameters(layers, config) };
  requireModesFit(config, [...Object.keys(backbone.weights), ...Object.keys(values)]);
  requirePatternsFit(config, trainableNames(config, backbone, labels && values));
  const dropout = new DropoutSeeds(layers, config);
  const adaptive = new AdaptiveWeights(config);
  const constants = { ...split.frozen, ...loraConstants(layers, config) };
  return {
    ...(await openOptimizer(config, parameters)),
    spatial,
    frozenHeads: split.frozen,
    ...frozenInputs(config, backbone, constants, { ...dropout.tensors, ...adaptive.tensors }),
    loraLayers: layers,
    dropout,
    adaptive,
  };
}

type TrainableParameters = Readonly<Record<string, TrainableParameter>>;

/** Weights of the checkpoint that are trained, read when they are needed. */
function backboneParameters(config: RunConfig, backbone: BackboneV1): TrainableParameters {
  const isTrained = trainedFilter(config);
  const trained = pick(backbone.weights, (name) => isTrained(name, backbone.parameterGroup(name)));
  const read = mappedReader();
  return mapValues(trained, (tensor, name) => ({
    data: (target: Float32Array) => read(tensor, target),
    group: backbone.parameterGroup(name) as TrainedGroup,
    shape: tensor.shape,
  }));
}

/** Parameters of the heads, trained and frozen. Without labels none is trained. */
function splitHeads(config: RunConfig, values: ParameterValues, hasLabels: boolean) {
  const isTrained = trainedFilter(config);
  const entries = Object.entries(values);
  const trains = ([name]: readonly [string, unknown]) => hasLabels && isTrained(name, 'spatial');
  const trained = Object.fromEntries(entries.filter(trains));
  return {
    trained: mapValues(trained, (value) => ({ ...value, group: 'spatial' as const })),
    frozen: Object.fromEntries(entries.filter((entry) => !trains(entry))),
  };
}

/** The optimiser, and averages of its parameters where they are kept. */
async function openOptimizer(config: RunConfig, parameters: TrainableParameters) {
  const { ema, device } = config;
  const { betas, epsilon, weightDecay, stateBits } = config.optimizer;
  const decays = decayFilter(config, parameters);
  const optimizer = await AdamwOptimizer.create(
    mapValues(parameters, (parameter, name) => ({ ...parameter, decays: decays(name) })),
    { betas, epsilon, weightDecay, stateBits, replays: config.cudaGraphs },
    device,
  );
  const average =
    ema &&
    (await WeightAverage.create(optimizer.parameters, ema.decay, device).catch(
      async (error: unknown) => {
        await optimizer.dispose();
        throw error;
      },
    ));
  const published = average !== undefined && ema?.use ? average.tensors : optimizer.parameters;
  return { optimizer, average, published };
}

/** What a step reads beside its parameters: mapped weights, constants, and tensors that others keep. */
function frozenInputs(
  config: RunConfig,
  backbone: BackboneV1,
  constants: ParameterValues,
  kept: Readonly<Record<string, DeviceTensor>>,
): Pick<ModelState, 'frozenSpecs' | 'frozenTensors'> {
  return {
    frozenSpecs: {
      ...frozenWeights(config, backbone),
      ...mapValues(constants, ({ shape }) => float32(...shape)),
      ...mapValues(kept, ({ shape, dtype }) => ({ shape, dtype })),
    },
    frozenTensors: {
      ...mapValues(constants, ({ data, shape }) =>
        createTensor(float32(...shape), data.slice(), config.device),
      ),
      ...kept,
    },
  };
}

type Weights = Readonly<Record<string, MappedTensor>>;

/** Names of all groups that are trained at all. */
function trainableNames(
  { optimizer, train }: RunConfig,
  backbone: BackboneV1,
  heads: ParameterValues = {},
): readonly string[] {
  const isTrainable = trainedFilter({ optimizer, train });
  const weights = Object.keys(backbone.weights);
  return [
    ...weights.filter((name) => isTrainable(name, backbone.parameterGroup(name))),
    ...Object.keys(heads).filter((name) => isTrainable(name, 'spatial')),
  ];
}

/** Weights that are not trained, in their files; the vision encoder runs in a program of its own. */
function frozenWeights(config: RunConfig, backbone: BackboneV1): Weights {
  const isTrained = trainedFilter(config);
  return pick(backbone.weights, (name) => {
    const group = backbone.parameterGroup(name);
    return group !== 'vision' && !isTrained(name, group);
  });
}

function pick(weights: Weights, keep: (name: string) => boolean): Weights {
  return Object.fromEntries(Object.entries(weights).filter(([name]) => keep(name)));
}

/** Heads of the checkpoint where it has fitting ones, fresh ones otherwise. */
async function spatialParameters(
  config: RunConfig,
  backbone: BackboneV1,
  heads: RunHeads,
  labels: GeometryLabelsV1 | undefined,
): Promise<{ spatial: SpatialSettings | undefined; values: ParameterValues }> {
  const stored = await readSpatialCheckpoint(config.model, heads.find);
  if (labels === undefined) return { spatial: stored, values: stored?.parameters ?? {} };
  const spatial = spatialSettings(config, heads, labels);
  const fits = stored !== undefined && settingsKey(stored) === settingsKey(spatial);
  return { spatial, values: fits ? stored.parameters : freshHeads(config, backbone, spatial) };
}

function spatialSettings(
  config: RunConfig,
  { model: heads, taps }: RunHeads,
  labels: GeometryLabelsV1,
): SpatialSettings {
  const distils = config.losses.weights.distillation > 0;
  return {
    taps,
    heads,
    featureChannels: distils ? (labels.features?.channels ?? 0) : 0,
  };
}

const settingsKey = ({ taps, heads, featureChannels }: SpatialSettings): string =>
  JSON.stringify([taps, heads.headId, Object.entries(heads.options).sort(), featureChannels]);

function freshHeads(
  config: RunConfig,
  backbone: BackboneV1,
  { taps, heads, featureChannels }: SpatialSettings,
): ParameterValues {
  const { hiddenSize } = backbone.config;
  const widths = taps.map(() => hiddenSize);
  const values = heads.initialise(widths, config.seed);
  if (featureChannels === 0) return values;
  return { ...values, ...initialiseDistillation(hiddenSize, featureChannels, config.seed) };
}
