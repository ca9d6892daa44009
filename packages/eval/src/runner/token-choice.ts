import { createRandom, type Random, type SamplingSettingsV1 } from '@spatialsv/core';

/** How the tokens of an answer are drawn. Equal seeds give equal answers. */
export interface Sampling extends Omit<SamplingSettingsV1, 'doSample'> {
  readonly seed: number;
}

export interface TokenChoice {
  /** 1 changes nothing. */
  readonly repetitionPenalty: number;
  /** Always the most probable token where absent. */
  readonly sampling?: Sampling | undefined;
}

/** Chooses the tokens of one answer, one after the other, by the rules of `transformers`' logits processors. */
export class TokenChooser {
  readonly #choice: TokenChoice;
  readonly #random: Random | undefined;
  /** Ids of the answer, behind those that were given. */
  readonly #seen: Set<number>;

  /** @param promptIds that count as repeated when they are said. */
  constructor(promptIds: Iterable<number>, choice: TokenChoice) {
    this.#choice = choice;
    this.#seen = new Set(promptIds);
    this.#random = choice.sampling && createRandom(choice.sampling.seed);
  }

  /** @param logits (K) of the next token, finite. */
  choose(logits: Float32Array): number {
    const { repetitionPenalty, sampling } = this.#choice;
    const scores = penaliseRepetition(logits, this.#seen, repetitionPenalty);
    const id =
      sampling === undefined ? argmax(scores) : draw(tokenChances(scores, sampling), this.#random!);
    this.#seen.add(id);
    return id;
  }
}

/** Logits of seen tokens divided by the penalty where they are positive, multiplied by it where they are negative. */
export function penaliseRepetition(
  logits: Float32Array,
  seen: Iterable<number>,
  penalty: number,
): Float32Array {
  if (penalty === 1) return logits;
  const [scores, factor] = [logits.slice(), Math.fround(penalty)];
  for (const id of seen) {
    const score = scores[id];
    if (score !== undefined) scores[id] = score < 0 ? score * factor : score / factor;
  }
  return scores;
}

/** Tokens that may be drawn with their probabilities, the most probable first. */
export interface TokenChances {
  readonly ids: readonly number[];
  readonly chances: readonly number[];
}

/**
 * What is left of a distribution: temperature, then the k most probable tokens, then the nucleus of probability topP, then
 * those of at least minP times the largest probability.
 * @param scores (K) finite logits.
 */
export function tokenChances(scores: Float32Array, sampling: Omit<Sampling, 'seed'>): TokenChances {
  const { temperature, topK, topP, minP } = sampling;
  const scaled = temperature === 1 ? scores : scores.map((score) => score / temperature);
  const ids = mostProbable(scaled, topK).sort((a, b) => scaled[b]! - scaled[a]! || a - b);
  // Relative to the largest probability.
  const weights = ids.map((id) => Math.exp(scaled[id]! - scaled[ids[0]!]!));
  const nucleus = nucleusSize(weights, topP);
  const kept = weights.slice(0, nucleus).filter((weight) => weight >= minP);
  const total = kept.reduce((sum, weight) => sum + weight, 0);
  return { ids: ids.slice(0, kept.length), chances: kept.map((weight) => weight / total) };
}

/** Ids of the k largest scores and of those equal to the last of them; all that are numbers where k is 0. */
function mostProbable(scores: Float32Array, k: number): number[] {
  const least =
    k === 0 || k >= scores.length ? -Infinity : scores.slice().sort()[scores.length - k]!;
  const ids: number[] = [];
  for (let id = 0; id < scores.length; id++) if (scores[id]! >= least) ids.push(id);
  return ids;
}

/** How many of the weights, in descending order, are needed for a share of their sum: the rest adds up to at most 1 − share. */
function nucleusSize(weights: readonly number[], share: number): number {
  if (share >= 1) return weights.length;
  const total = weights.reduce((sum, weight) => sum + weight, 0);
  let [size, tail] = [weights.length, 0];
  while (size > 1) {
    tail += weights[size - 1]! / total;
    if (tail > 1 - share) break;
    size -= 1;
  }
  return size;
}

function draw({ ids, chances }: TokenChances, random: Random): number {
  let rest = random.uniform();
  for (const [i, chance] of chances.entries()) {
    rest -= chance;
    if (rest < 0) return ids[i]!;
  }
  return ids.at(-1)!;
}

/** Index of the first largest value. */
function argmax(values: Float32Array): number {
  let best = 0;
  for (let i = 1; i < values.length; i++) if (values[i]! > values[best]!) best = i;
  return best;
}
