import { type Tensor, tf } from '@spatialsv/engine';

/** Settings of AdamW that do not change during a run. */
export interface AdamwSettings {
  readonly betas: readonly [number, number];
  readonly epsilon: number;
  /** Decoupled decay λ. */
  readonly weightDecay: number;
}

/** Factors of one step that are the same for every parameter. Scalars. */
export interface StepScalars {
  /** Multiplies the accumulated gradient: 1/batch times the clipping coefficient. */
  readonly gradientScale: Tensor;
  /** 1/√(1 − β₂ᵗ). */
  readonly secondScale: Tensor;
}

/** Factors of one step that depend on the learning rate of a group. Scalars. */
export interface RateScalars {
  /** lr / (1 − β₁ᵗ). */
  readonly stepSize: Tensor;
  /** 1 − lr·λ. */
  readonly decay: Tensor;
}

export interface AdamwTensors {
  readonly parameter: Tensor;
  /** First and second moment. */
  readonly first: Tensor;
  readonly second: Tensor;
}

/**
 * One AdamW update of one tensor, or of a chunk of many: a pure elementwise program with PyTorch's semantics (decay is
 * applied to the parameter before the update; ε is added to √v̂).
 *
 * m ← β₁m + (1−β₁)g;  v ← β₂v + (1−β₂)g²;  θ ← θ(1 − lr·λ) − lr/(1−β₁ᵗ) · m / (√v/√(1−β₂ᵗ) + ε).
 * Source: arXiv:1711.05101, algorithm 2; torch.optim.AdamW.
 */
export function adamwUpdate(
  settings: AdamwSettings,
  state: AdamwTensors,
  gradient: Tensor,
  scalars: StepScalars & RateScalars,
): AdamwTensors {
  const [beta1, beta2] = settings.betas;
  const { gradientScale, secondScale } = scalars;
  // Products of scalars are gathered first: every one that is left costs a pass over the tensors.
  const firstShare = tf.mul(gradientScale, 1 - beta1);
  const secondShare = tf.mul(tf.square(gradientScale), 1 - beta2);
  const first = tf.add(tf.mul(state.first, beta1), tf.mul(gradient, firstShare));
  const second = tf.add(tf.mul(state.second, beta2), tf.mul(tf.square(gradient), secondShare));
  const denominator = tf.add(tf.sqrt(second), tf.div(settings.epsilon, secondScale));
  const step = tf.mul(tf.div(first, denominator), tf.div(scalars.stepSize, secondScale));
  const decayed =
    settings.weightDecay === 0 ? state.parameter : tf.mul(state.parameter, scalars.decay);
  return { parameter: tf.sub(decayed, step), first, second };
}

/** Values of {@link StepScalars} for step `t` (1 for the first). */
export function stepScalars(settings: AdamwSettings, t: number, gradientScale: number) {
  return { gradientScale, secondScale: 1 / Math.sqrt(1 - settings.betas[1] ** t) };
}

/** Values of {@link RateScalars} for step `t` (1 for the first). */
export function rateScalars(settings: AdamwSettings, t: number, learningRate: number) {
  return {
    stepSize: learningRate / (1 - settings.betas[0] ** t),
    decay: 1 - learningRate * settings.weightDecay,
  };
}

/** Σ of squares over all tensors: the square of the global norm. A program. */
export function sumOfSquares(tensors: Readonly<Record<string, Tensor>>): Tensor {
  return tf.addN(Object.values(tensors).map((tensor) => tf.sum(tf.square(tensor))));
}

/**
 * Factor that brings a gradient of this norm down to `limit`.
 * Source: torch.nn.utils.clip_grad_norm_ (the same 1e-6).
 */
export function clipCoefficient(norm: number, limit: number): number {
  return Math.min(1, limit / (norm + 1e-6));
}
