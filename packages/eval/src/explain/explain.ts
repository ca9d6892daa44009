import { groupBy } from '../group-by.js';
import { binomialTail } from '../statistics/binomial.js';
import {
  bootstrapCorrelation,
  type Correlation,
  fisherInterval,
  pearson,
  spearman,
} from '../statistics/correlation.js';
import { wilsonInterval } from '../statistics/intervals.js';
import { type BinReport, binAnswers } from './bins.js';

/** An answer, and how good the model's lift of the views of its question is. */
export interface ExplainedAnswer {
  /** Key of the question: equal in all runs that were asked it. */
  readonly key: string;
  /** Key of its view set. */
  readonly views: string;
  readonly category: string;
  readonly right: boolean;
  /** In the unit of the measure; undefined where there is no lift or no label. */
  readonly quality: number | undefined;
}

/** Answers of one model. */
export interface ExplainedRun {
  readonly name: string;
  readonly answers: readonly ExplainedAnswer[];
}

export interface ExplainOptions {
  /** Whether a small or a large value of the measure is a good one. */
  readonly better: 'lower' | 'higher';
  readonly bins: number;
  /** Of the bootstrap. */
  readonly seed: number;
}

/** A correlation with its intervals, 95 %; null where too few pairs give none. */
export interface EstimatedCorrelation extends Correlation {
  /** Through Fisher's z. */
  readonly fisher: readonly [number, number] | null;
  /** Percentiles of a bootstrap. */
  readonly bootstrap: readonly [number, number] | null;
}

export interface ModelSummary {
  readonly name: string;
  readonly questions: number;
  readonly accuracy: number;
  /** Wilson, 95 %. */
  readonly interval: readonly [number, number];
  /** Mean of the measure over view sets, each once; null without lifts. */
  readonly quality: number | null;
  readonly viewSets: number;
  /** Questions whose views have a quality. */
  readonly rated: number;
}

export interface ModelBins extends BinReport {
  readonly name: string;
  /** Bins of each category by itself. */
  readonly categories: Readonly<Record<string, BinReport>>;
  /** Over questions, of the measure and being right; bootstrap over view sets, of which questions share one quality. */
  readonly withinModel: EstimatedCorrelation;
}

/** Questions that exactly one of two models gets right. */
export interface Disagreement {
  readonly models: readonly [string, string];
  readonly questions: number;
  /** How often the one that is right has the better lift; ties are left out of both numbers. */
  readonly betterIsRight: number;
  /** Exact two-sided sign test. */
  readonly pValue: number;
}

export interface Explanation {
  readonly models: readonly ModelSummary[];
  /** Of the measure and accuracy, over the models that have lifts. */
  readonly overModels: {
    readonly models: number;
    readonly pearson: EstimatedCorrelation;
    readonly spearman: EstimatedCorrelation;
  };
  readonly byModel: readonly ModelBins[];
  readonly disagreements: readonly Disagreement[];
}

/** Draws of a bootstrap over questions; over models the usual number. */
const QUESTION_DRAWS = 2000;

/**
 * What the quality of lifts has to do with right answers: over models (Figure 4 of the paper), over the questions of each model in
 * bins of quality (Figure 5), and between models that disagree.
 */
export function explainRuns(runs: readonly ExplainedRun[], options: ExplainOptions): Explanation {
  const models = runs.map(summarise);
  const lifted = models.filter(({ quality }) => quality !== null);
  const x = lifted.map(({ quality }) => quality!);
  const y = lifted.map(({ accuracy }) => accuracy);
  const over = (kind: 'pearson' | 'spearman') => estimate({ x, y, kind, seed: options.seed });
  return {
    models,
    overModels: { models: lifted.length, pearson: over('pearson'), spearman: over('spearman') },
    byModel: runs.filter((run) => run.answers.some(isRated)).map((run) => binModel(run, options)),
    disagreements: pairsOf(runs).flatMap(([a, b]) => disagreement(a, b, options) ?? []),
  };
}

type Rated = ExplainedAnswer & { readonly quality: number };

const isRated = (answer: ExplainedAnswer): answer is Rated => answer.quality !== undefined;

function summarise({ name, answers }: ExplainedRun): ModelSummary {
  const right = answers.filter((answer) => answer.right).length;
  const rated = answers.filter(isRated);
  const sets = [...new Map(rated.map(({ views, quality }) => [views, quality])).values()];
  return {
    name,
    questions: answers.length,
    accuracy: right / answers.length,
    interval: wilsonInterval(right, answers.length),
    quality: sets.length === 0 ? null : sets.reduce((sum, value) => sum + value, 0) / sets.length,
    viewSets: sets.length,
    rated: rated.length,
  };
}

function binModel({ name, answers }: ExplainedRun, options: ExplainOptions): ModelBins {
  const rated = answers.filter(isRated);
  const clusters = [...groupBy([...rated.keys()], (i) => rated[i]!.views).values()];
  const categories = groupBy(rated, ({ category }) => category);
  const bins = (some: readonly Rated[]) =>
    unsigned(binAnswers(signed(some, options), options.bins), options);
  return {
    name,
    ...bins(rated),
    categories: Object.fromEntries(
      [...categories].map(([category, some]) => [category, bins(some)]),
    ),
    withinModel: estimate({
      x: rated.map(({ quality }) => quality),
      y: rated.map(({ right }) => Number(right)),
      kind: 'spearman',
      seed: options.seed,
      clusters,
    }),
  };
}

/** Bins count from the worst: errors are turned round. */
const signed = (answers: readonly Rated[], { better }: ExplainOptions): readonly Rated[] =>
  better === 'higher'
    ? answers
    : answers.map((answer) => ({ ...answer, quality: -answer.quality }));

/** Ends of the bins in the unit of the measure again. */
function unsigned({ bins, trend }: BinReport, { better }: ExplainOptions): BinReport {
  if (better === 'higher') return { bins, trend };
  const turned = bins.map((bin) => ({
    ...bin,
    quality: bin.quality && ([-bin.quality[1], -bin.quality[0]] as const),
  }));
  return { bins: turned, trend };
}

interface Pairs {
  readonly x: readonly number[];
  readonly y: readonly number[];
  readonly kind: 'pearson' | 'spearman';
  readonly seed: number;
  readonly clusters?: readonly (readonly number[])[];
}

function estimate({ x, y, kind, seed, clusters }: Pairs): EstimatedCorrelation {
  const statistic = kind === 'pearson' ? pearson : spearman;
  const found = statistic(x, y);
  const draws = clusters === undefined ? {} : { draws: QUESTION_DRAWS, clusters };
  return {
    ...found,
    // Questions about the same views are no independent pairs.
    fisher: (clusters === undefined && fisherInterval(found.coefficient, x.length, kind)) || null,
    bootstrap: bootstrapCorrelation(x, y, statistic, { seed, ...draws }) ?? null,
  };
}

const pairsOf = <Item>(items: readonly Item[]): readonly (readonly [Item, Item])[] =>
  items.flatMap((a, i) => items.slice(i + 1).map((b) => [a, b] as const));

function disagreement(
  a: ExplainedRun,
  b: ExplainedRun,
  { better }: ExplainOptions,
): Disagreement | undefined {
  const others = new Map(b.answers.map((answer) => [answer.key, answer]));
  let [questions, betterIsRight] = [0, 0];
  for (const one of a.answers) {
    const other = others.get(one.key);
    if (other === undefined || !isRated(one) || !isRated(other) || one.right === other.right)
      continue;
    if (one.quality === other.quality) continue;
    const [good, bad] = one.right ? [one, other] : [other, one];
    questions++;
    if (better === 'lower' ? good.quality < bad.quality : good.quality > bad.quality)
      betterIsRight++;
  }
  if (questions === 0) return undefined;
  const extreme = Math.max(betterIsRight, questions - betterIsRight);
  const pValue = Math.min(1, 2 * binomialTail(extreme, questions, 0.5));
  return { models: [a.name, b.name], questions, betterIsRight, pValue };
}
