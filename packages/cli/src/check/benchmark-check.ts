import { readSampleImages, type SpatialError } from '@spatialsv/core';
import { collectFinding, type Finding, findingOf } from '@spatialsv/core/host';
import type { BenchmarkQuestionV1 } from '@spatialsv/core/spec';
import type { Protocol } from '@spatialsv/eval';
import { imagesOf, protocolOf } from '../benchmark.js';
import { countBy, imageStatistics } from './image-statistics.js';
import { modelOf } from './model-of.js';
import type { CheckContext, CheckReport } from './report.js';

/** The files of a benchmark as `eval` reads them: every row that cannot be asked, and counts that are not the official ones. */
export async function checkBenchmark(
  path: string,
  id: string,
  context: CheckContext,
): Promise<CheckReport> {
  const findings: Finding[] = [];
  const onProblem = (problem: SpatialError) => findings.push(findingOf(problem));
  const protocol = protocolOf(context.plugins, id, context.variant);
  const { benchmark, variant } = protocol;
  const questions = await readQuestions(path, protocol, context, findings);
  const remarks = questions.length === 0 ? [] : (benchmark.remarks?.(questions, variant) ?? []);
  findings.push(...remarks.map((remark) => asFinding(path, remark)));
  const { backbone } = await modelOf(context, findings);
  const samples = questions.map((question) => ({ id: question.id, images: imagesOf(question) }));
  const nameOf = (index: number) => `${path}: question '${questions[index]!.id}'`;
  const { signal } = context;
  const images = await readSampleImages({ samples, nameOf, backbone, onProblem, signal });
  const facts = {
    variant,
    questions: questions.length,
    ...(questions.length > 0 && { categories: countBy(questions, ({ category }) => category) }),
    ...imageStatistics([...images.values()]),
  };
  const summary = `questions of ${benchmark.title}`;
  return { kind: 'data', path, summary, facts, passedOver: [], findings };
}

async function readQuestions(
  path: string,
  { benchmark, variant }: Protocol,
  { imageRoot, signal }: CheckContext,
  findings: Finding[],
): Promise<readonly BenchmarkQuestionV1[]> {
  const questions: BenchmarkQuestionV1[] = [];
  const onProblem = (problem: SpatialError) => findings.push(findingOf(problem));
  const options = { variant, onProblem, ...(imageRoot !== undefined && { imageRoot }) };
  await collectFinding(findings, async () => {
    for await (const question of benchmark.questions(path, options)) {
      signal.throwIfAborted();
      questions.push(question);
    }
  });
  return questions;
}

const asFinding = (where: string, what: string): Finding => ({
  severity: 'warning',
  code: 'DATA_INVALID',
  where,
  what,
  hint: 'Results on these questions are not those of the whole benchmark.',
});
