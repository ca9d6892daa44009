import { invalidRow } from '@spatialsv/core/benchmarks';
import { readDataset } from '@spatialsv/core/host';
import type { BenchmarkQuestionV1, SampleV1 } from '@spatialsv/core/spec';
import { inferOption } from '../extract/inferred-option.js';
import { defineBenchmark, imagesThenText, letter } from './define-benchmark.js';

/**
 * A data set of one's own with multiple-choice questions, in any format that training reads. The prompt is the question of the
 * sample as it stands.
 */
export const ownQuestions = defineBenchmark({
  id: 'jsonl',
  title: 'own questions',
  variants: ['as written'],
  async *questions(root, { onProblem, imageRoot }) {
    const ids = new Set<string>();
    for (const sample of await readDataset({ path: root, imageRoot, onProblem })) {
      const question = ofSample(sample);
      if (question === undefined) onProblem(notAsked(root, sample));
      else if (ids.has(sample.id)) onProblem(repeated(root, sample));
      else yield question;
      ids.add(sample.id);
    }
  },
  extract: (text, { options = [] }) => inferOption(text, options),
});

const repeated = (root: string, { id }: SampleV1) =>
  invalidRow(root, `sample '${id}': this id was already used`, 'Ids are unique in a benchmark.');

const notAsked = (root: string, { id }: SampleV1) =>
  invalidRow(
    root,
    `sample '${id}': expected a question with options and a right letter to score`,
    'Samples without them can only train.',
  );

/** A sample as a question; undefined without options or a right letter. */
function ofSample(sample: SampleV1): BenchmarkQuestionV1 | undefined {
  const { id, images, question, system, options, answerLetter, category } = sample;
  if (question === undefined || options === undefined || answerLetter === undefined)
    return undefined;
  return {
    id,
    category: category ?? 'all',
    options: Object.entries(options).map(([name, text]) => ({ letter: name, text })),
    right: letter(answerLetter),
    parts: imagesThenText(
      images.map((path) => ({ name: path, source: path })),
      question,
    ),
    ...(system !== undefined && { system }),
    maxNewTokens: 64,
  };
}
