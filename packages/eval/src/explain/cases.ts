import type { ExplainedAnswer, ExplainedRun, ExplainOptions } from './explain.js';

/** A question that shows something. */
export interface ExplainedCase {
  readonly kind: 'best' | 'worst' | 'contrast';
  /** Key of the question, and of its views. */
  readonly key: string;
  readonly views: string;
  /** The model that it is a case of; of a contrast, the one that is right. */
  readonly model: string;
  readonly quality: number;
  /** Of a contrast: the model that is wrong. */
  readonly other?: { readonly model: string; readonly quality: number };
}

/** How cases are chosen, in words. */
export const CASE_RULES: Readonly<Record<ExplainedCase['kind'], string>> = {
  best: 'of each model, right answers in the order of its best lifts',
  worst: 'of each model, wrong answers in the order of its worst lifts',
  contrast:
    'questions that one model gets right and another wrong, in the order of how much better the lift of the right one is',
};

/**
 * Cases by {@link CASE_RULES}, so many of a kind (and model); a view set stands for one case of a kind only. Ties go by the order
 * of the questions.
 */
export function chooseCases(
  runs: readonly ExplainedRun[],
  count: number,
  { better }: Pick<ExplainOptions, 'better'>,
): readonly ExplainedCase[] {
  const sign = better === 'higher' ? 1 : -1;
  const ofModels = runs.flatMap((run) => [
    ...firstOf(casesOf(run, 'best'), (one) => -sign * one.quality, count),
    ...firstOf(casesOf(run, 'worst'), (one) => sign * one.quality, count),
  ]);
  const advantage = (one: ExplainedCase) => sign * (one.quality - one.other!.quality);
  const contrasts = contrastsOf(runs).filter((one) => advantage(one) > 0);
  return [...ofModels, ...firstOf(contrasts, (one) => -advantage(one), count)];
}

function casesOf({ name, answers }: ExplainedRun, kind: 'best' | 'worst'): ExplainedCase[] {
  return answers.flatMap(({ key, views, right, quality }) =>
    quality === undefined || right !== (kind === 'best')
      ? []
      : [{ kind, key, views, model: name, quality }],
  );
}

function contrastsOf(runs: readonly ExplainedRun[]): ExplainedCase[] {
  const maps = runs.map(({ name, answers }) => ({
    name,
    answers: new Map(answers.map((answer) => [answer.key, answer])),
  }));
  return (runs[0]?.answers ?? []).flatMap(({ key }) =>
    maps.flatMap((one) =>
      maps.flatMap((other) =>
        contrast(one.name, one.answers.get(key), other.name, other.answers.get(key)),
      ),
    ),
  );
}

function contrast(
  name: string,
  one: ExplainedAnswer | undefined,
  otherName: string,
  other: ExplainedAnswer | undefined,
): ExplainedCase[] {
  if (one?.quality === undefined || other?.quality === undefined) return [];
  if (!one.right || other.right) return [];
  const { key, views, quality } = one;
  return [
    {
      kind: 'contrast',
      key,
      views,
      model: name,
      quality,
      other: { model: otherName, quality: other.quality },
    },
  ];
}

/** The first so many by a cost, of which no two are about the same views. */
function firstOf(
  cases: readonly ExplainedCase[],
  cost: (one: ExplainedCase) => number,
  count: number,
): readonly ExplainedCase[] {
  const chosen = new Map<string, ExplainedCase>();
  for (const one of cases.toSorted((a, b) => cost(a) - cost(b))) {
    if (chosen.size >= count) break;
    if (!chosen.has(one.views)) chosen.set(one.views, one);
  }
  return [...chosen.values()];
}
