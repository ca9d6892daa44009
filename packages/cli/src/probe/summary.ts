import type { ProbeResult, ProbeTask, Subject } from '@spatialsv/train';

/** Mean over the seeds, and their spread. */
export interface Spread {
  readonly mean: number;
  /** Standard deviation over the seeds (n − 1); null with one of them. */
  readonly sd: number | null;
}

/** What several seeds say of one probe. */
export interface SubjectSummary {
  readonly model: string;
  readonly task: ProbeTask;
  readonly subject: Subject;
  readonly channels: number;
  readonly seeds: number;
  readonly metrics: Readonly<Record<string, Spread>>;
}

/** Finished probes of one model. */
export interface ModelResults {
  readonly model: string;
  readonly results: readonly ProbeResult[];
}

export const spreadOf = (values: readonly number[]): Spread => {
  const mean = values.reduce((sum, value) => sum + value, 0) / values.length;
  const squares = values.reduce((sum, value) => sum + (value - mean) ** 2, 0);
  return { mean, sd: values.length > 1 ? Math.sqrt(squares / (values.length - 1)) : null };
};

/** One summary for each model, task and subject, in the order of the results. */
export function summarise(models: readonly ModelResults[]): readonly SubjectSummary[] {
  return models.flatMap(({ model, results }) => {
    const groups = new Map<string, ProbeResult[]>();
    for (const result of results) {
      const key = `${result.task} ${result.subject}`;
      groups.set(key, [...(groups.get(key) ?? []), result]);
    }
    return [...groups.values()].map((group) => {
      const { task, subject, channels, metrics } = group[0]!;
      const spreads = Object.keys(metrics).map(
        (name) => [name, spreadOf(group.map((each) => each.metrics[name]!))] as const,
      );
      const spread = Object.fromEntries(spreads);
      return { model, task, subject, channels, seeds: group.length, metrics: spread };
    });
  });
}

/** The metric by which subjects are compared, and whether less of it is better. */
export const MAIN_METRIC: Readonly<
  Record<ProbeTask, { readonly name: string; readonly lessIsBetter: boolean }>
> = {
  depth: { name: 'rmse', lessIsBetter: true },
  normals: { name: 'meanDeg', lessIsBetter: true },
  'ray-map': { name: 'directionDeg', lessIsBetter: true },
  correspondence: { name: 'recall1', lessIsBetter: false },
};

/** What tables show of a task. */
const COLUMNS: Readonly<Record<ProbeTask, readonly (readonly [name: string, title: string])[]>> = {
  depth: [
    ['rmse', 'RMSE'],
    ['rmseMedianScaled', 'median-scaled'],
    ['rmseScaled', 'LS-scaled'],
    ['rmseScaledAndShifted', 'scale + shift'],
    ['absRel', 'AbsRel'],
    ['delta1', 'δ < 1.25'],
    ['delta2', 'δ < 1.25²'],
    ['delta3', 'δ < 1.25³'],
  ],
  normals: [
    ['meanDeg', 'mean °'],
    ['medianDeg', 'median °'],
    ['within11', '< 11.25°'],
    ['within22', '< 22.5°'],
    ['within30', '< 30°'],
  ],
  'ray-map': [
    ['directionDeg', 'direction °'],
    ['originDistance', 'origin'],
  ],
  correspondence: [
    ['recall1', 'recall@1'],
    ['recall5', 'recall@5'],
    ['pck10', 'PCK@0.1'],
    ['pck20', 'PCK@0.2'],
  ],
};

export const formatSpread = ({ mean, sd }: Spread): string =>
  sd === null ? mean.toFixed(3) : `${mean.toFixed(3)} ± ${sd.toFixed(3)}`;

/** A table of each task, header first. @param several whether the model has a column. */
export function taskTables(
  summaries: readonly SubjectSummary[],
  several: boolean,
): ReadonlyMap<ProbeTask, readonly (readonly string[])[]> {
  const tasks = [...new Set(summaries.map(({ task }) => task))];
  return new Map(
    tasks.map((task) => {
      const columns = COLUMNS[task];
      const header = [...(several ? ['model'] : []), 'probed', 'channels'];
      const rows = summaries
        .filter((summary) => summary.task === task)
        .map(({ model, subject, channels, metrics }) => [
          ...(several ? [model] : []),
          subject,
          channels === 0 ? '–' : `${channels}`,
          ...columns.map(([name]) => formatSpread(metrics[name]!)),
        ]);
      return [task, [[...header, ...columns.map(([, title]) => title)], ...rows]] as const;
    }),
  );
}
