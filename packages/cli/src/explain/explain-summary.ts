import type { Explanation } from '@spatialsv/eval';
import type { QualityMeasure } from '@spatialsv/inspect';
import { correlationText, probability, signed } from './explain-figures.js';
import type { ReportedCase } from './write-reports.js';

export interface SummaryInput {
  readonly explanation: Explanation;
  readonly measure: QualityMeasure & { readonly unit: string };
  readonly benchmark: string;
  readonly labels: string | undefined;
  readonly cases: readonly ReportedCase[];
  readonly rules: Readonly<Record<string, string>>;
  readonly notes: readonly string[];
}

/** `summary.md`: what was found, for people. */
export function summaryMarkdown(input: SummaryInput): string {
  const { explanation, measure, benchmark, labels, notes } = input;
  const unit = measure.unit === '' ? '' : ` in ${measure.unit}`;
  const beside = labels === undefined ? '' : ` beside labels of ${cell(labels)}`;
  return [
    '# 3D quality and accuracy',
    '',
    `${cell(benchmark)}; quality: ${measure.title}${unit}${beside}, ${measure.better} is better. Means over view sets, each once.`,
    '',
    ...modelTable(explanation),
    ...overModels(explanation, measure),
    ...binTables(explanation),
    ...disagreements(explanation),
    ...caseList(input),
    ...(notes.length === 0 ? [] : ['## Notes', '', ...notes.map((note) => `- ${cell(note)}`), '']),
  ].join('\n');
}

const percent = (share: number): string => `${(100 * share).toFixed(1)} %`;

/** Text of users inside of a table or a line of Markdown. */
const cell = (text: string): string =>
  text.replaceAll(/\s+/g, ' ').replaceAll(/[\\|`*_[\]<>#]/g, (sign) => `\\${sign}`);

const table = (head: readonly string[], rows: readonly (readonly string[])[]): string[] => [
  `| ${head.join(' | ')} |`,
  `|${head.map(() => '---').join('|')}|`,
  ...rows.map((row) => `| ${row.join(' | ')} |`),
  '',
];

const modelTable = ({ models }: Explanation): string[] => [
  '## Models',
  '',
  ...table(
    ['model', 'quality', 'accuracy', '95 % (Wilson)', 'questions', 'with a quality', 'view sets'],
    models.map((model) => [
      cell(model.name),
      model.quality === null ? '–' : signed(model.quality, 4),
      percent(model.accuracy),
      model.interval.map(percent).join(' to '),
      String(model.questions),
      String(model.rated),
      String(model.viewSets),
    ]),
  ),
];

function overModels({ overModels }: Explanation, { better }: QualityMeasure): string[] {
  const sign = better === 'lower' ? 'negative' : 'positive';
  const few =
    overModels.models < 4
      ? [
          'Fewer than four models give no interval; take the coefficients for a description of these models alone.',
          '',
        ]
      : [];
  return [
    `Over ${overModels.models} models (a ${sign} coefficient: better lifts go with more right answers):`,
    '',
    `- Pearson ${correlationText(overModels.pearson)}`,
    `- Spearman ${correlationText(overModels.spearman)}`,
    '',
    ...few,
    '![accuracy and quality by model](figures/models.svg)',
    '',
  ];
}

function binTables({ byModel }: Explanation): string[] {
  const count = byModel[0]?.bins.length ?? 0;
  const head = [
    'model',
    'category',
    ...Array.from({ length: count }, (_, i) => `bin ${i + 1}`),
    'trend z',
    'p',
  ];
  const rows = byModel.flatMap(({ name, categories, ...all }) =>
    [['all', all] as const, ...Object.entries(categories)].map(([category, { bins, trend }]) => [
      cell(name),
      cell(category),
      ...bins.map(({ accuracy, questions }) =>
        accuracy === null ? '–' : `${percent(accuracy)} of ${questions}`,
      ),
      trend === null ? '–' : signed(trend.z),
      trend === null ? '–' : probability(trend.pValue),
    ]),
  );
  return [
    '## Bins of quality, from the worst to the best',
    '',
    ...table(head, rows),
    'Trend: Cochran–Armitage over the bins, two-sided; it takes questions as independent. Questions about the same views share one',
    'quality: the correlation over questions, with a bootstrap over view sets, does not.',
    '',
    ...byModel.map(
      ({ name, withinModel }) => `- ${cell(name)}: Spearman ${correlationText(withinModel)}`,
    ),
    '',
    '![accuracy by bin](figures/bins.svg)',
    '',
  ];
}

function disagreements({ disagreements: found }: Explanation): string[] {
  if (found.length === 0) return [];
  return [
    '## Questions that one model gets right and another wrong',
    '',
    ...table(
      ['models', 'questions', 'the right one has the better lift', 'p (sign test)'],
      found.map(({ models, questions, betterIsRight, pValue }) => [
        models.map(cell).join(', '),
        String(questions),
        `${betterIsRight} (${percent(betterIsRight / questions)})`,
        probability(pValue),
      ]),
    ),
  ];
}

function caseList({ cases, rules }: SummaryInput): string[] {
  if (cases.length === 0) return [];
  const kinds = [...new Set(cases.map(({ kind }) => kind))];
  return [
    '## Cases',
    '',
    'Chosen by rule, at most one for each view set and kind:',
    '',
    ...kinds.map((kind) => `- ${kind}: ${rules[kind]}`),
    '',
    ...cases.flatMap(({ kind, id, question, models, figure, report }) => [
      `### ${kind}: ${cell(id)}`,
      '',
      cell(question),
      '',
      ...models.map(
        ({ name, right, quality, lift }) =>
          `- ${cell(name)}: ${right ? 'right' : 'wrong'}, quality ${signed(quality, 3)} ([lift](${lift}/index.html))`,
      ),
      '',
      `[In the report](${report})`,
      '',
      `![${kind}](${figure.svg})`,
      '',
    ]),
  ];
}
