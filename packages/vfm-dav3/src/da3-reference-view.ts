/** Choice of the view whose frame the network takes for its world. Source: model/reference_view_selector.py. */

export const REFERENCE_VIEWS = ['saddle_balanced', 'saddle_sim_range', 'middle', 'first'] as const;

/**
 * `saddle_balanced`: in the middle of the range by similarity to the others, by length and by variance of its token;
 * `saddle_sim_range`: the widest range of similarities; `middle`, `first`: by place. Where views are equally good the
 * first of them is taken: two views that are nearest to each other always are, by the range of similarities.
 */
export type ReferenceView = (typeof REFERENCE_VIEWS)[number];

/** With fewer views the first one is the reference. */
const MIN_VIEWS = 3;

/**
 * @param tokens (S, C) class token of each view.
 * @returns the number of the reference view.
 */
export const chooseReferenceView = (
  tokens: readonly ArrayLike<number>[],
  strategy: ReferenceView,
): number => {
  const views = tokens.length;
  if (views < MIN_VIEWS || strategy === 'first') return 0;
  if (strategy === 'middle') return Math.floor(views / 2);
  const lengths = tokens.map((token) => Math.sqrt(dot(token, token)));
  const units = tokens.map((token, i) => Array.from(token, (value) => value / lengths[i]!));
  // Cosine similarities; 0 for every view with itself.
  const similarity = units.map((a, i) => units.map((b, j) => (i === j ? 0 : dot(a, b))));
  if (strategy === 'saddle_sim_range')
    return argBest(similarity.map((row) => Math.min(...row) - Math.max(...row)));
  const scores = [
    similarity.map((row) => sum(row) / (views - 1)),
    lengths,
    units.map(variance),
  ].map(toUnitRange);
  return argBest(tokens.map((_, i) => sum(scores.map((score) => Math.abs(score[i]! - 0.5)))));
};

/** Numbers of the views with the reference first, the others in their order. */
export const referenceFirst = (views: number, reference: number): number[] => [
  reference,
  ...[...Array(views).keys()].filter((view) => view !== reference),
];

const sum = (values: readonly number[]): number =>
  values.reduce((total, value) => total + value, 0);

const dot = (a: ArrayLike<number>, b: ArrayLike<number>): number => {
  let total = 0;
  for (let i = 0; i < a.length; i++) total += a[i]! * b[i]!;
  return total;
};

/** Unbiased. */
const variance = (values: readonly number[]): number => {
  const mean = sum(values) / values.length;
  return sum(values.map((value) => (value - mean) ** 2)) / (values.length - 1);
};

const toUnitRange = (values: readonly number[]): number[] => {
  const [low, high] = [Math.min(...values), Math.max(...values)];
  return values.map((value) => (value - low) / (high - low + 1e-8));
};

/** Place of the smallest value, the first of equals; the first place where a token that is no number spoils them all. */
const argBest = (values: readonly number[]): number =>
  Math.max(0, values.indexOf(Math.min(...values)));
