import type { BinReport, EstimatedCorrelation, Explanation } from '@spatialsv/eval';
import { type Figure, type QualityMeasure, scatterPlot, seriesPlot } from '@spatialsv/inspect';

/** Name of all questions, beside the categories. */
const ALL = 'all questions';

/** Figures of an explanation: accuracy over quality by model, and by bins of quality. */
export function explanationFigures(
  explanation: Explanation,
  measure: QualityMeasure & { readonly unit: string },
): readonly Figure[] {
  const title = measure.unit === '' ? measure.title : `${measure.title} (${measure.unit})`;
  const categories = new Set(
    explanation.byModel.flatMap(({ categories: found }) => Object.keys(found)),
  );
  return [
    modelFigure(explanation, { ...measure, title }),
    binFigure(explanation, { ...measure, title }),
    ...(categories.size > 1 ? [categoryFigure(explanation, { ...measure, title })] : []),
  ];
}

function modelFigure(
  { models, overModels }: Explanation,
  { title, better }: QualityMeasure,
): Figure {
  const rows = models.flatMap(({ name, quality, accuracy, interval, questions, viewSets }) =>
    quality === null
      ? []
      : [
          {
            model: name,
            quality,
            accuracy,
            low: interval[0],
            high: interval[1],
            questions,
            view_sets: viewSets,
          },
        ],
  );
  return scatterPlot({
    name: 'models',
    title: 'Accuracy and the quality of lifts, by model',
    subtitle: [
      `${overModels.models} models`,
      ...correlationLines('Pearson', overModels.pearson),
      ...correlationLines('Spearman', overModels.spearman),
    ],
    rows,
    x: { field: 'quality', title: `${title}, ${better} is better` },
    y: { field: 'accuracy', title: 'Accuracy', format: '.0%', interval: ['low', 'high'] },
    label: 'model',
    trendLine: rows.length > 2,
  });
}

function binFigure({ byModel }: Explanation, { title }: QualityMeasure): Figure {
  return seriesPlot({
    name: 'bins',
    title: 'Accuracy by quality of the lift',
    subtitle: [
      `bins of ${title}, from the worst to the best`,
      'Wilson intervals, 95 %; p of the Cochran–Armitage trend test',
    ],
    rows: byModel.flatMap(({ name, ...report }) => binRows(name, ALL, report)),
    x: { field: 'bin', title: 'bin' },
    y: { field: 'accuracy', title: 'Accuracy', format: '.0%', interval: ['low', 'high'] },
    panel: 'panel',
  });
}

function categoryFigure({ byModel }: Explanation, { title }: QualityMeasure): Figure {
  const rows = byModel.flatMap(({ name, categories }) =>
    Object.entries(categories).flatMap(([category, report]) => binRows(name, category, report)),
  );
  return seriesPlot({
    name: 'bins-by-category',
    title: 'Accuracy by quality of the lift, by category',
    subtitle: `bins of ${title} in each category, from the worst to the best`,
    rows: rows.map(({ panel: _, ...row }) => row),
    x: { field: 'bin', title: 'bin' },
    y: { field: 'accuracy', title: 'Accuracy', format: '.0%', interval: ['low', 'high'] },
    panel: 'category',
    color: 'model',
  });
}

const binRows = (model: string, category: string, { bins, trend }: BinReport) =>
  bins.map(({ bin, questions, right, accuracy, interval, quality }) => ({
    panel: trend === null ? model : `${model}, p = ${probability(trend.pValue)}`,
    model,
    category,
    bin,
    questions,
    right,
    accuracy,
    low: accuracy === null ? null : interval[0],
    high: accuracy === null ? null : interval[1],
    quality_from: quality?.[0] ?? null,
    quality_to: quality?.[1] ?? null,
    trend_z: trend?.z ?? null,
    trend_p: trend?.pValue ?? null,
  }));

/** A coefficient with its intervals and p-value, or that there is none. */
export function correlationText(found: EstimatedCorrelation): string {
  const intervals = intervalTexts(found);
  return `${estimateText(found)}${intervals.length === 0 ? '' : ` (95 %: ${intervals.join('; ')})`}`;
}

/** The same in short lines: long ones make a figure wide. */
function correlationLines(name: string, found: EstimatedCorrelation): readonly string[] {
  const intervals = intervalTexts(found);
  return [
    `${name} ${estimateText(found)}`,
    ...(intervals.length === 0 ? [] : [`95 %: ${intervals.join('; ')}`]),
  ];
}

function estimateText({ coefficient, pValue }: EstimatedCorrelation): string {
  if (!Number.isFinite(coefficient)) return 'not defined';
  return `${signed(coefficient)}${Number.isFinite(pValue) ? `, p = ${probability(pValue)}` : ''}`;
}

function intervalTexts({ fisher, bootstrap }: EstimatedCorrelation): readonly string[] {
  const between = (ends: readonly [number, number]) => `${signed(ends[0])} to ${signed(ends[1])}`;
  return [
    ...(fisher ? [`Fisher z ${between(fisher)}`] : []),
    ...(bootstrap ? [`bootstrap ${between(bootstrap)}`] : []),
  ];
}

export const probability = (p: number): string =>
  p < 1e-4 ? p.toExponential(1) : p.toFixed(p < 0.01 ? 4 : 3);

export const signed = (value: number, digits = 2): string =>
  `${value < 0 ? '−' : ''}${Math.abs(value).toFixed(digits)}`;
