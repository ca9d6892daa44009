import {
  type BackboneV1,
  type DecodedSequence,
  type DecodeRequest,
  decodeSequence,
  distillationLoss,
  embedSequence,
  type GeometryHeadModelV1,
  type GeometryLosses,
  type GeometryTask,
  geometryLosses,
  type LossConfig,
  type Parameters,
  projectForDistillation,
  siteOfLayer,
  totalLoss,
} from '@spatialsv/core';
import { differentiate, ops, type Tensor, tf } from '@spatialsv/engine';
import { mapValues } from '../records.js';
import { LOG_VARIANCES, uncertaintyTotal } from './log-variances.js';
import { predictMaps } from './predict-maps.js';
import {
  type GridGroup,
  gridGroups,
  type PackShape,
  type StepShape,
  type ViewShape,
  viewsOf,
} from './step-shape.js';
import { LOSS_TERMS, type Term } from './terms.js';

/** What is trained, and on what. */
export interface StepModel {
  readonly backbone: BackboneV1;
  readonly heads: GeometryHeadModelV1;
  readonly losses: LossConfig;
  /** Tapped layers: 0 = embeddings … L = after the final norm. */
  readonly taps: readonly number[];
}

/** Labels of the views of one grid; (V, H, W, …) float32 at the output size of the heads. */
export interface GroupLabels {
  readonly depth: Tensor;
  readonly mask: Tensor;
  readonly rays: Tensor;
  readonly rayMask: Tensor;
  readonly points: Tensor;
  /** Scalar: this group's share of the valid pixels of the sample. */
  readonly share: Tensor;
  /** What pixels count, with two teachers. */
  readonly depthWeight?: Tensor;
  readonly rayWeight?: Tensor;
  readonly pointWeight?: Tensor;
}

/** A sequence of tokens and visual rows. */
export interface SequenceTensors {
  /** (T) int32. */
  readonly inputIds: Tensor;
  /** (R, T) int32. */
  readonly positions: Tensor;
  /** (T) int32 rows of [text embeddings; visual rows]. */
  readonly spliceIndex: Tensor;
  /** (T) int32, equal for the tokens of a sample; absent where there is one sample. */
  readonly segments?: Tensor;
  /** Vision features by view, `v0` first: (P, Cv) float32. */
  readonly features: Readonly<Record<string, Tensor>>;
}

/** What the losses of a sample read beside the states of the decoder. */
export interface TargetTensors {
  /** Sequence positions of the grid cells by view: (h·w) int32. */
  readonly cells: Readonly<Record<string, Tensor>>;
  /** Rows that predict a target, (n) int32; the targets, (n) int32; and 1/#targets or 0 for padding, (n) float32. */
  readonly targetRows?: Tensor;
  readonly targets?: Tensor;
  readonly targetWeights?: Tensor;
  /** (Σ h·w, C₃) float32 features to distil. */
  readonly distilled?: Tensor;
  /** By grid group. */
  readonly labels?: Readonly<Record<string, GroupLabels>>;
}

export interface SampleTensors extends SequenceTensors, TargetTensors {}

export interface PackTensors extends SequenceTensors {
  /** By sample, `s0` first; positions are those of the whole sequence. */
  readonly samples: Readonly<Record<string, TargetTensors>>;
}

export interface StepTensors {
  /** Weights that are not trained. */
  readonly frozen: Readonly<Record<string, Tensor>>;
  readonly parameters: Readonly<Record<string, Tensor>>;
  /** Sums of the gradients of the batch so far. */
  readonly accumulators: Readonly<Record<string, Tensor>>;
  readonly pack: PackTensors;
}

export interface StepOutputs {
  readonly [name: string]: Tensor | Readonly<Record<string, Tensor>>;
  readonly accumulators: Readonly<Record<string, Tensor>>;
  /** (samples, 6) values of {@link LOSS_TERMS}; absent terms are 0. */
  readonly losses: Tensor;
}

/** Losses and gradients of the samples of a pack, the gradients added to the accumulators. Equation 6. */
export function stepProgram(model: StepModel, shape: PackShape) {
  return ({ frozen, parameters, accumulators, pack }: StepTensors): StepOutputs => {
    const { outputs, gradients } = differentiate((trained) => {
      const all = { ...frozen, ...trained };
      const { positions, segments } = pack;
      const decoded = decodeSequence(
        model.backbone.decoder,
        all,
        { embeddings: embedSample(model, viewsOf(shape), all, pack), positions, segments },
        packRequest(model, shape),
      );
      return packLosses(model, shape, all, decoded, pack);
    }, parameters);
    return { accumulators: addGradients(accumulators, gradients), losses: outputs.losses };
  };
}

type Terms = Partial<Record<Term, Tensor | undefined>>;

/** What the decoder has to give for a sample of a shape: tapped sites, and whether the states after the final norm. */
export function decodeRequest(model: StepModel, shape: StepShape): DecodeRequest {
  const { hasText, hasFeatures, tasks } = usedTerms(model, shape);
  return { taps: tasks.length > 0 ? tapSites(model) : [], last: hasText || hasFeatures };
}

/** {@link decodeRequest} for all samples of a pack. */
export function packRequest(model: StepModel, { samples }: PackShape): DecodeRequest {
  const requests = samples.map((shape) => decodeRequest(model, shape));
  const taps = requests.find(({ taps }) => taps.length > 0)?.taps ?? [];
  return { taps, last: requests.some(({ last }) => last) };
}

function usedTerms({ losses: { weights }, heads }: StepModel, shape: StepShape) {
  return {
    hasText: shape.targets > 0 && weights.text > 0,
    hasFeatures: shape.featureChannels > 0 && weights.distillation > 0,
    tasks: shape.geometry ? heads.tasks.filter((task) => weights[task] > 0) : [],
  };
}

/** The terms of equation 6 that the sample has labels for and whose weight is not 0. Scalars. */
export function sampleLosses(
  model: StepModel,
  shape: StepShape,
  parameters: Parameters,
  sample: SampleTensors,
): Terms {
  const embeddings = embedSample(model, shape.views, parameters, sample);
  const { positions } = sample;
  const request = decodeRequest(model, shape);
  const decoded = decodeSequence(
    model.backbone.decoder,
    parameters,
    { embeddings, positions },
    request,
  );
  return decodedLosses(model, shape, parameters, decoded, sample);
}

/** The hidden states that {@link decodeRequest} asks for. */
export type DecodedStates = Pick<DecodedSequence, 'hidden' | 'last'>;

/**
 * Sum of the totals of the samples of a pack, and the values of the terms of each, (samples, 6).
 * @param decoded what {@link packRequest} asks for.
 */
export function packLosses(
  model: StepModel,
  { samples }: PackShape,
  parameters: Parameters,
  decoded: DecodedStates,
  pack: Pick<PackTensors, 'samples'>,
) {
  const logits = targetLogits(model, samples, parameters, decoded, pack);
  const outputs = samples.map((shape, index) => {
    const sample = pack.samples[sampleName(index)]!;
    const terms = decodedLosses(model, shape, parameters, decoded, sample, logits[index]);
    return lossOutputs(model, terms, parameters);
  });
  return {
    loss: tf.addN(outputs.map(({ loss }) => loss)),
    losses: tf.stack(outputs.map(({ losses }) => losses)) as Tensor,
  };
}

export const sampleName = (index: number): string => `s${index}`;

/** Logits of the rows that predict targets by sample, from one product; empty where no sample has text. */
function targetLogits(
  model: StepModel,
  samples: readonly StepShape[],
  parameters: Parameters,
  { last }: DecodedStates,
  pack: Pick<PackTensors, 'samples'>,
): readonly (Tensor | undefined)[] {
  const texts = [...samples.keys()].filter((index) => usedTerms(model, samples[index]!).hasText);
  if (texts.length === 0) return [];
  const rows = texts.map((index) => pack.samples[sampleName(index)]!.targetRows as tf.Tensor1D);
  const places = rows.length === 1 ? rows[0]! : tf.concat(rows, 0);
  const logits = model.backbone.decoder.logits(parameters, tf.gather(last!, places));
  if (rows.length === 1)
    return samples.map((_, index) => (index === texts[0] ? logits : undefined));
  const parts = tf.split(
    logits,
    rows.map(({ shape }) => shape[0]),
    0,
  );
  return samples.map((_, index) => parts[texts.indexOf(index)]);
}

/**
 * {@link sampleLosses} from hidden states.
 * @param logits (n, K) of the target rows, where they are computed already.
 */
export function decodedLosses(
  model: StepModel,
  shape: StepShape,
  parameters: Parameters,
  { hidden, last }: DecodedStates,
  sample: TargetTensors,
  logits?: Tensor,
): Terms {
  const { hasText, hasFeatures, tasks } = usedTerms(model, shape);
  const geometry =
    tasks.length > 0 ? spatialLosses(model, tasks, shape, parameters, hidden, sample) : {};
  return {
    text: hasText
      ? textLoss(logits ?? logitsOf(model, parameters, last!, sample), sample)
      : undefined,
    distillation: hasFeatures ? featureLoss(shape, parameters, last!, sample) : undefined,
    depth: geometry.lossDepth,
    ray: geometry.lossRay,
    point: geometry.lossPoint,
  };
}

/**
 * Total of equation 6, and the values of {@link LOSS_TERMS}.
 * @param parameters with log-variances of the terms where their weights are adaptive.
 */
export function lossOutputs(
  { losses: { weights } }: StepModel,
  terms: Terms,
  parameters: Parameters = {},
) {
  const logVariances = parameters[LOG_VARIANCES];
  const loss =
    logVariances === undefined
      ? totalLoss(weights, terms)
      : uncertaintyTotal(weights, terms, logVariances);
  const values = LOSS_TERMS.map((term) => (term === 'total' ? loss : terms[term]));
  return { loss, losses: tf.stack(values.map((value) => value ?? tf.scalar(0))) };
}

/** Adds gradients to their accumulators, in place where the device can. */
export const addGradients = (
  accumulators: Parameters,
  gradients: Parameters,
): Record<string, Tensor> =>
  mapValues(accumulators, (sum, name) => tf.add(sum, gradients[name]!) as Tensor);

export const tapSites = ({ taps, backbone }: StepModel) =>
  taps.map((layer) => siteOfLayer(layer, backbone.config.layers));

/** Embeddings of a sequence with the projected views in their places, (T, C). */
export function embedSample(
  { backbone }: StepModel,
  views: readonly Pick<ViewShape, 'layout'>[],
  parameters: Parameters,
  { inputIds, spliceIndex, features }: Omit<SequenceTensors, 'positions' | 'segments'>,
): Tensor {
  const rows = views.map(({ layout }, index) =>
    backbone.projectView(parameters, features[`v${index}`]!, layout),
  );
  const visualRows = rows.length === 1 ? rows[0]! : tf.concat(rows, 0);
  return embedSequence(backbone.decoder, parameters, { inputIds, spliceIndex, visualRows });
}

/** Logits of the rows that predict a target, (n, K). */
const logitsOf = (
  { backbone }: StepModel,
  parameters: Parameters,
  last: Tensor,
  { targetRows }: TargetTensors,
): Tensor => backbone.decoder.logits(parameters, tf.gather(last, targetRows!));

/** Mean cross-entropy over the target tokens (eq. 1). */
const textLoss = (logits: Tensor, { targets, targetWeights }: TargetTensors): Tensor =>
  ops.crossEntropySum(logits, targets!, targetWeights!);

/** 1 − cosine between the projected last-layer visual features and those of the 3D model (eq. 2). */
function featureLoss(
  shape: StepShape,
  parameters: Parameters,
  last: Tensor,
  sample: TargetTensors,
): Tensor {
  const cells = shape.views.map((_, index) => sample.cells[`v${index}`]!);
  const visual = tf.gather(last, cells.length === 1 ? cells[0]! : tf.concat(cells, 0));
  return distillationLoss(projectForDistillation(parameters, visual), sample.distilled!);
}

/** Equation 5 over all views, for some tasks: the mean over the valid pixels of the sample. */
function spatialLosses(
  model: StepModel,
  tasks: readonly GeometryTask[],
  shape: StepShape,
  parameters: Parameters,
  hidden: DecodedSequence['hidden'],
  sample: TargetTensors,
): GeometryLosses {
  const total: Record<string, Tensor> = {};
  for (const group of gridGroups(shape.views)) {
    const { share, ...targets } = sample.labels![group.name]!;
    const taps = tapSites(model).map((site) => gatherGrid(hidden[site]!, group, sample));
    const size = model.heads.outputSize(group);
    const prediction = predictMaps(model.heads, parameters, taps, size, tasks);
    const losses = geometryLosses(model.losses, prediction, {
      ...targets,
      pointMask: targets.mask,
    });
    for (const [name, loss] of Object.entries(losses) as [string, Tensor][]) {
      const part = tf.mul(loss, share);
      total[name] = total[name] === undefined ? part : tf.add(total[name], part);
    }
  }
  return total;
}

/** (T, C) hidden states → (V, h, w, C) maps of the views of one group. */
export function gatherGrid(hidden: Tensor, group: GridGroup, sample: TargetTensors): Tensor {
  const cells = group.views.map((view) => sample.cells[`v${view}`]!);
  const rows = tf.gather(hidden, cells.length === 1 ? cells[0]! : tf.concat(cells, 0));
  return tf.reshape(rows, [group.views.length, group.h, group.w, hidden.shape[1]!]);
}
