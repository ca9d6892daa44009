import { type DecodedSequence, decodeSequence, type Parameters } from '@spatialsv/core';
import { type Tensor, tf } from '@spatialsv/engine';
import { predictMaps } from './predict-maps.js';
import {
  decodedLosses,
  decodeRequest,
  embedSample,
  gatherGrid,
  lossOutputs,
  type SampleTensors,
  type StepModel,
  tapSites,
} from './step-program.js';
import { gridGroups, type StepShape } from './step-shape.js';

export interface HeldOutTensors {
  readonly frozen: Parameters;
  readonly parameters: Parameters;
  readonly sample: SampleTensors;
}

/** Scalars and vectors of one sample. */
export type HeldOutOutputs = {
  /** (6) values of `LOSS_TERMS`. */
  readonly losses: Tensor;
  /** Target tokens that are not the likeliest at their place; where the sample has text. */
  readonly missed?: Tensor;
  /** (V) mean squared errors of depth over the valid pixels of a view, in the unit in which depth is learnt; where it is. */
  readonly depthErrors?: Tensor;
};

/**
 * Losses of a sample without gradients and without dropout, and what accuracy and depth error follow from. A program.
 *
 * No target token is missed exactly where greedy decoding from the prompt gives the target: each token is then the likeliest
 * behind the ones before it.
 */
export function heldOutProgram(model: StepModel, shape: StepShape) {
  return ({ frozen, parameters: trained, sample }: HeldOutTensors): HeldOutOutputs => {
    const parameters = withoutDropout({ ...frozen, ...trained });
    const embeddings = embedSample(model, shape.views, parameters, sample);
    const decoded = decodeSequence(
      model.backbone.decoder,
      parameters,
      { embeddings, positions: sample.positions },
      decodeRequest(model, shape),
    );
    const terms = decodedLosses(model, shape, parameters, decoded, sample);
    return {
      losses: lossOutputs(model, terms).losses,
      ...(terms.text && { missed: missedTargets(model, parameters, decoded.last!, sample) }),
      ...(terms.depth && { depthErrors: depthErrors(model, shape, parameters, decoded, sample) }),
    };
  };
}

/** A layer whose seed is not there drops nothing. */
export const withoutDropout = (parameters: Parameters): Parameters =>
  Object.fromEntries(
    Object.entries(parameters).filter(([name]) => !name.endsWith('.lora_dropout')),
  );

function missedTargets(
  { backbone }: StepModel,
  parameters: Parameters,
  last: Tensor,
  { targetRows, targets, targetWeights }: SampleTensors,
): Tensor {
  const logits = backbone.decoder.logits(parameters, tf.gather(last, targetRows!));
  const chosen = tf.sum(tf.mul(logits, tf.oneHot(targets as tf.Tensor1D, logits.shape[1]!)), 1);
  const isMissed = tf.cast(tf.greater(tf.max(logits, 1), chosen), 'float32');
  // Padding has weight 0.
  return tf.sum(tf.mul(isMissed, tf.cast(tf.greater(targetWeights!, 0), 'float32')));
}

function depthErrors(
  model: StepModel,
  shape: StepShape,
  parameters: Parameters,
  { hidden }: Pick<DecodedSequence, 'hidden'>,
  sample: SampleTensors,
): Tensor {
  const errors = gridGroups(shape.views).map((group) => {
    const { depth: label, mask } = sample.labels![group.name]!;
    const taps = tapSites(model).map((site) => gatherGrid(hidden[site]!, group, sample));
    const size = model.heads.outputSize(group);
    const { depth } = predictMaps(model.heads, parameters, taps, size, ['depth']);
    const squares = tf.mul(tf.square(tf.sub(depth!, label)), mask);
    return tf.div(tf.sum(squares, [1, 2]), tf.maximum(tf.sum(mask, [1, 2]), 1)) as Tensor;
  });
  return errors.length === 1 ? errors[0]! : tf.concat(errors, 0);
}
