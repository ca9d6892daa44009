import type { ProbeResult, ProbeTask } from '@spatialsv/train';
import { MAIN_METRIC, type ModelResults, type SubjectSummary } from './summary.js';

/** How much better than `constant` noise may come out by chance, as a share. */
const CHANCE = 0.02;

/** Whether the controls stand in the order in which they have to, seed by seed: each seed has a split of its own. */
export interface ControlOrder {
  readonly model: string;
  readonly task: ProbeTask;
  /** The site of the model: its best. */
  readonly site: string;
  readonly seeds: number;
  /** Seeds in which noise is no better than the constant (within 2 %). */
  readonly randomNoBetterThanConstant: number | null;
  /** Seeds in which the site is better than the constant. */
  readonly siteBetterThanConstant: number | null;
  /** Seeds in which the features of the label source are better than the site; null where there are none. */
  readonly ceilingBetterThanSite: number | null;
}

/** Orders of every model and task. @param best its best site. */
export function controlOrders(
  models: readonly ModelResults[],
  best: readonly Pick<SubjectSummary, 'model' | 'task' | 'subject'>[],
): readonly ControlOrder[] {
  return best.map(({ model, task, subject }) => {
    const { results } = models.find((each) => each.model === model)!;
    const valuesOf = (name: string) => valuesBySeed(results, task, name);
    const [site, constant] = [valuesOf(subject), valuesOf('constant')];
    const count = (
      first: ReadonlyMap<number, number>,
      second: ReadonlyMap<number, number>,
      holds: (a: number, b: number) => boolean,
    ) => {
      if (first.size === 0 || second.size === 0) return null;
      return [...first].filter(([seed, value]) => holds(value, second.get(seed)!)).length;
    };
    const isBetter = (a: number, b: number) => a < b;
    return {
      model,
      task,
      site: subject,
      seeds: site.size,
      randomNoBetterThanConstant: count(
        valuesOf('random'),
        constant,
        (random, known) => random >= known - CHANCE * Math.abs(known),
      ),
      siteBetterThanConstant: count(site, constant, isBetter),
      ceilingBetterThanSite: count(valuesOf('label-features'), site, isBetter),
    };
  });
}

/** The main metric by seed, turned so that less is better. */
function valuesBySeed(results: readonly ProbeResult[], task: ProbeTask, subject: string) {
  const { name, lessIsBetter } = MAIN_METRIC[task];
  return new Map(
    results
      .filter((each) => each.task === task && each.subject === subject)
      .map(({ seed, metrics }) => [seed, (lessIsBetter ? 1 : -1) * metrics[name]!] as const),
  );
}

/** `depth: label-features better than final in 3, final better than constant in 3, … of 3 seeds`. */
export function describeOrder(order: ControlOrder): string {
  const { task, model, site, seeds } = order;
  const parts = [
    [order.ceilingBetterThanSite, `label-features better than ${site}`],
    [order.siteBetterThanConstant, `${site} better than constant`],
    [order.randomNoBetterThanConstant, 'random no better than constant'],
  ] as const;
  const known = parts.flatMap(([count, text]) => (count === null ? [] : `${text} in ${count}`));
  return known.length === 0 ? '' : `${model}, ${task}: ${known.join(', ')} of ${seeds} seeds`;
}
