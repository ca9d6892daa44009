import type { Parameters } from '@spatialsv/core';
import { differentiate, type Tensor, tf } from '@spatialsv/engine';
import { mapValues } from '../records.js';
import { effectiveWeight } from './log-variances.js';
import { isPresent } from './sample-step.js';
import { type SampleTensors, type StepModel, sampleLosses } from './step-program.js';
import type { StepShape } from './step-shape.js';
import { LOSS_TERMS, type Term } from './terms.js';

/** Names of trained parameters by group. */
export type NamesByGroup = ReadonlyMap<string, readonly string[]>;

/** The terms that a sample of a shape has. */
export const termsOf = (model: StepModel, shape: StepShape): readonly Term[] =>
  LOSS_TERMS.filter((term): term is Term => term !== 'total' && isPresent(model, term, shape));

/**
 * Gradients of every weighted term of one sample, each by itself, and of these the products that norms and angles follow from. A
 * program.
 * @returns (terms, groups) each: `squares`, and `products` with the gradient of the first term.
 */
export function gradientProgram(model: StepModel, shape: StepShape, groups: NamesByGroup) {
  return (inputs: {
    readonly frozen: Parameters;
    readonly parameters: Parameters;
    readonly sample: SampleTensors;
  }) => {
    const gradients = termsOf(model, shape).map((term) => termGradient(model, shape, term, inputs));
    const [first] = gradients;
    const table = (product: (gradient: Parameters, name: string) => Tensor) =>
      tf.stack(
        gradients.map((gradient) =>
          tf.stack(
            [...groups.values()].map((names) =>
              total(names.map((name) => product(gradient, name))),
            ),
          ),
        ),
      ) as Tensor;
    return {
      squares: table((gradient, name) => tf.sum(tf.square(gradient[name]!))),
      products: table((gradient, name) => tf.sum(tf.mul(gradient[name]!, first![name]!))),
    };
  };
}

const total = (values: readonly Tensor[]): Tensor => tf.addN([...values, tf.scalar(0)]);

function termGradient(
  model: StepModel,
  shape: StepShape,
  term: Term,
  {
    frozen,
    parameters,
    sample,
  }: {
    readonly frozen: Parameters;
    readonly parameters: Parameters;
    readonly sample: SampleTensors;
  },
): Parameters {
  const { losses } = model;
  const weights = mapValues(losses.weights, (value, name) => (name === term ? value : 0));
  const alone = { ...model, losses: { ...losses, weights: weights as typeof losses.weights } };
  return differentiate((trained) => {
    const terms = sampleLosses(alone, shape, { ...frozen, ...trained }, sample);
    return { loss: tf.mul(terms[term]!, effectiveWeight(losses.weights, term, frozen)) as Tensor };
  }, parameters).gradients;
}
