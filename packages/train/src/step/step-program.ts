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
import { LOG_VARIANCES, TERMS, uncertaintyTotal } from './log-variances.js';
import { type GridGroup, gridGroups, type StepShape } from './step-shape.js';

/** Terms of equation 6, in the order of the program's `losses` output; the last entry is their weighted sum. */
export const LOSS_TERMS = [...TERMS, 'total'] as const;
export type LossTerm = (typeof LOSS_TERMS)[number];
/** A term by itself. */
export type Term = (typeof TERMS)[number];

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

export interface SampleTensors {
  /** (T) int32. */
  readonly inputIds: Tensor;
  /** (R, T) int32. */
  readonly positions: Tensor;
  /** (T) int32 rows of [text embeddings; visual rows]. */
  readonly spliceIndex: Tensor;
  /** Vision features by view, `v0` first: (P, Cv) float32. */
  readonly features: Readonly<Record<string, Tensor>>;
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

export interface StepTensors {
  /** Weights that are not trained. */
  readonly frozen: Readonly<Record<string, Tensor>>;
  readonly parameters: Readonly<Record<string, Tensor>>;
  /** Sums of the gradients of the batch so far. */
  readonly accumulators: Readonly<Record<string, Tensor>>;
  readonly sample: SampleTensors;
}

export interface StepOutputs {
  readonly [name: string]: Tensor | Readonly<Record<string, Tensor>>;
  readonly accumulators: Readonly<Record<string, Tensor>>;
  /** (6) values of {@link LOSS_TERMS}; absent terms are 0. */
  readonly losses: Tensor;
}

/** Loss and gradients of one sample, the gradients added to the accumulators. Equation 6. */
export function stepProgram(model: StepModel, shape: StepShape) {
  return ({ frozen, parameters, accumulators, sample }: StepTensors): StepOutputs => {
    const { outputs, gradients } = differentiate((trained) => {
      const terms = sampleLosses(model, shape, { ...frozen, ...trained }, sample);
      return lossOutputs(model, terms, frozen);
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
  const embeddings = embedSample(model, shape, parameters, sample);
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

/** {@link sampleLosses} from the hidden states that {@link decodeRequest} asks for. */
export function decodedLosses(
  model: StepModel,
  shape: StepShape,
  parameters: Parameters,
  { hidden, last }: Pick<DecodedSequence, 'hidden' | 'last'>,
  sample: SampleTensors,
): Terms {
  const { hasText, hasFeatures, tasks } = usedTerms(model, shape);
  const geometry =
    tasks.length > 0 ? spatialLosses(model, tasks, shape, parameters, hidden, sample) : {};
  return {
    text: hasText ? textLoss(model, parameters, last!, sample) : undefined,
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
  shape: StepShape,
  parameters: Parameters,
  { inputIds, spliceIndex, features }: SampleTensors,
): Tensor {
  const rows = shape.views.map(({ layout }, index) =>
    backbone.projectView(parameters, features[`v${index}`]!, layout),
  );
  const visualRows = rows.length === 1 ? rows[0]! : tf.concat(rows, 0);
  return embedSequence(backbone.decoder, parameters, { inputIds, spliceIndex, visualRows });
}

/** Mean cross-entropy over the target tokens (eq. 1). */
function textLoss(
  { backbone }: StepModel,
  parameters: Parameters,
  last: Tensor,
  sample: SampleTensors,
): Tensor {
  const logits = backbone.decoder.logits(parameters, tf.gather(last, sample.targetRows!));
  return ops.crossEntropySum(logits, sample.targets!, sample.targetWeights!);
}

/** 1 − cosine between the projected last-layer visual features and those of the 3D model (eq. 2). */
function featureLoss(
  shape: StepShape,
  parameters: Parameters,
  last: Tensor,
  sample: SampleTensors,
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
  sample: SampleTensors,
): GeometryLosses {
  const total: Record<string, Tensor> = {};
  for (const group of gridGroups(shape.views)) {
    const { share, ...targets } = sample.labels![group.name]!;
    const taps = tapSites(model).map((site) => gatherGrid(hidden[site]!, group, sample));
    const size = model.heads.outputSize(group);
    const prediction = model.heads.doPredict(parameters, taps, size, tasks);
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
export function gatherGrid(hidden: Tensor, group: GridGroup, sample: SampleTensors): Tensor {
  const cells = group.views.map((view) => sample.cells[`v${view}`]!);
  const rows = tf.gather(hidden, cells.length === 1 ? cells[0]! : tf.concat(cells, 0));
  return tf.reshape(rows, [group.views.length, group.h, group.w, hidden.shape[1]!]);
}
