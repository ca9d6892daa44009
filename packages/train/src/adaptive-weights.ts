import { createTensor, type DeviceTensor, float32 } from '@spatialsv/engine';
import type { RunConfig } from './config/run-config.js';
import { LOG_VARIANCES } from './step/log-variances.js';
import type { SampleLosses } from './step/sample-runner.js';
import type { Term } from './step/terms.js';
import { TERMS } from './step/terms.js';

/** What a run with adaptive weights goes on from: of every term in the order of `TERMS`. */
export interface AdaptiveState {
  readonly logVariances: readonly number[];
  /** First and second moment of their gradients. */
  readonly first: readonly number[];
  readonly second: readonly number[];
}

/** Adam's own; a decay would pull the weights towards the fixed ones. */
const BETAS = [0.9, 0.999] as const;
const EPSILON = 1e-8;

/**
 * Log-variances sᵢ of the terms, learnt beside the model: the total is Σ wᵢ·exp(−sᵢ)·Lᵢ + ½·sᵢ. They are five numbers, so their
 * gradients −wᵢ·exp(−sᵢ)·Lᵢ + ½ are taken here from the losses, in float64, and count neither in the gradient norm nor in
 * its clipping. After every update they are put back into ±`limit`: terms with confidences may be negative, and without a bound
 * the weight of such a term would grow for ever.
 * Source: arXiv:1705.07115, equation 7; arXiv:1412.6980 for the update.
 */
export class AdaptiveWeights {
  /** Frozen inputs of the step: none with fixed weights. */
  readonly tensors: Readonly<Record<string, DeviceTensor>>;
  readonly #settings: RunConfig['adaptiveWeights'];
  readonly #weights: RunConfig['losses']['weights'];
  #state: AdaptiveState = { logVariances: zeros(), first: zeros(), second: zeros() };
  #gradients = zeros();

  constructor({
    adaptiveWeights,
    losses,
    device,
  }: Pick<RunConfig, 'adaptiveWeights' | 'losses' | 'device'>) {
    this.#settings = adaptiveWeights;
    this.#weights = losses.weights;
    this.tensors =
      adaptiveWeights === undefined
        ? {}
        : { [LOG_VARIANCES]: createTensor(float32(TERMS.length), undefined, device) };
  }

  /** What a checkpoint keeps; undefined with fixed weights. */
  get state(): AdaptiveState | undefined {
    return this.#settings && this.#state;
  }

  /** wᵢ·exp(−sᵢ) of every term that is learnt; undefined with fixed weights. */
  get current(): Readonly<Partial<Record<Term, number>>> | undefined {
    if (this.#settings === undefined) return undefined;
    const learnt = TERMS.filter((term) => this.#weights[term] > 0);
    return Object.fromEntries(learnt.map((term) => [term, this.#weightOf(term)]));
  }

  #weightOf(term: Term): number {
    return this.#weights[term] * Math.exp(-this.#state.logVariances[TERMS.indexOf(term)]!);
  }

  async restore(state: AdaptiveState): Promise<void> {
    this.#state = state;
    await this.#write();
  }

  /** Adds the gradients of one sample of a batch. */
  add(losses: SampleLosses): void {
    this.#gradients = TERMS.map((term, index) => {
      const loss = losses[term];
      const own = loss === null ? 0 : 0.5 - this.#weightOf(term) * loss;
      return this.#gradients[index]! + own;
    });
  }

  /**
   * Takes a step of Adam with what was added, and forgets it.
   * @param t number of this step, 1 for the first. @param samples of the batch. @param rateFactor of the schedule.
   */
  async step(t: number, samples: number, rateFactor: number): Promise<void> {
    if (this.#settings === undefined) return;
    const { learningRate, limit } = this.#settings;
    const { logVariances, first, second } = this.#state;
    const gradients = this.#gradients.map((sum) => sum / samples);
    const [m, v] = [
      first.map((value, i) => BETAS[0] * value + (1 - BETAS[0]) * gradients[i]!),
      second.map((value, i) => BETAS[1] * value + (1 - BETAS[1]) * gradients[i]! ** 2),
    ];
    const moved = logVariances.map((s, i) => {
      const denominator = Math.sqrt(v[i]! / (1 - BETAS[1] ** t)) + EPSILON;
      const step = (learningRate * rateFactor * m[i]!) / (1 - BETAS[0] ** t) / denominator;
      return Math.min(limit, Math.max(-limit, s - step));
    });
    this.#state = { logVariances: moved, first: m, second: v };
    this.#gradients = zeros();
    await this.#write();
  }

  async #write(): Promise<void> {
    await this.tensors[LOG_VARIANCES]?.write(Float32Array.from(this.#state.logVariances));
  }
}

const zeros = (): number[] => TERMS.map(() => 0);
