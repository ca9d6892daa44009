import type { LossConfig, Parameters } from '@spatialsv/core';
import { type Tensor, tf } from '@spatialsv/engine';
import { TERMS, type Term } from './terms.js';

/** Name among the frozen inputs of the log-variances of the terms, (5) in the order of {@link TERMS}; absent with fixed weights. */
export const LOG_VARIANCES = 'losses.log_variances';

/**
 * Uncertainty weighting: Σ wᵢ·exp(−sᵢ)·Lᵢ + ½·sᵢ over the terms that are present, sᵢ = log σᵢ². A program.
 * Source: Kendall, Gal, Cipolla, arXiv:1705.07115, equation 7; the factor ½ of its regression terms is a shift of sᵢ.
 */
export function uncertaintyTotal(
  weights: LossConfig['weights'],
  terms: Readonly<Partial<Record<Term, Tensor | undefined>>>,
  logVariances: Tensor,
): Tensor {
  const parts = TERMS.flatMap((term) => {
    const loss = terms[term];
    if (loss === undefined || weights[term] === 0) return [];
    const s = logVariance(logVariances, term);
    const weighted = tf.mul(loss, tf.mul(tf.exp(tf.neg(s)), weights[term]));
    return [tf.add(weighted, tf.mul(s, 0.5))];
  });
  return parts.length === 0 ? tf.scalar(0) : tf.addN(parts);
}

/** Weight of a term in the gradient of the total: wᵢ, or wᵢ·exp(−sᵢ) with log-variances among the parameters. Scalar. */
export function effectiveWeight(
  weights: LossConfig['weights'],
  term: Term,
  parameters: Parameters,
): Tensor {
  const logVariances = parameters[LOG_VARIANCES];
  if (logVariances === undefined) return tf.scalar(weights[term]);
  return tf.mul(tf.exp(tf.neg(logVariance(logVariances, term))), weights[term]);
}

const logVariance = (logVariances: Tensor, term: Term): Tensor =>
  tf.reshape(tf.slice(logVariances, [TERMS.indexOf(term)], [1]), []);
