import { exactScore, microReport } from '@spatialsv/core/benchmarks';
import type {
  AnswerOptionV1,
  BenchmarkImageV1,
  BenchmarkV1,
  PromptPartV1,
  RightAnswerV1,
} from '@spatialsv/core/spec';

type Defaults = 'specificationVersion' | 'kind' | 'score' | 'combine';

/** A benchmark whose answers are right or wrong and count once each, unless it says otherwise. */
export const defineBenchmark = (
  benchmark: Omit<BenchmarkV1, Defaults> & Partial<Pick<BenchmarkV1, 'score' | 'combine'>>,
): BenchmarkV1 => ({
  specificationVersion: 'v1',
  kind: 'benchmark',
  score: exactScore,
  combine: (answers) => microReport(answers),
  ...benchmark,
});

/** Images first, then the text. */
export const imagesThenText = (
  images: readonly BenchmarkImageV1[],
  text: string,
): readonly PromptPartV1[] => [
  ...images.map((image) => ({ type: 'image', image }) as const),
  { type: 'text', text },
];

export const letter = (value: string): RightAnswerV1 => ({ kind: 'letter', value });

/** `A. left`, one a line. */
export const optionLines = (options: readonly AnswerOptionV1[]): string =>
  options.map((option) => `${option.letter}. ${option.text}`).join('\n');

/** What is warned of where the files are not the published ones. */
export function countRemark(
  title: string,
  found: Readonly<Record<string, number>>,
  published: Readonly<Record<string, number>>,
): readonly string[] {
  const differing = Object.keys(published).filter((name) => found[name] !== published[name]);
  if (differing.length === 0) return [];
  const listed = differing.map(
    (name) => `${name} ${found[name] ?? 0} instead of ${published[name]}`,
  );
  return [
    `${title}: not the published set (${listed.join(', ')}); figures are not comparable with published ones.`,
  ];
}
