/** What tests of benchmarks share: reading, answering, and folders. */
import { existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join, resolve } from 'node:path';
import type { SpatialError } from '@spatialsv/core';
import type {
  BenchmarkQuestionV1,
  BenchmarkReportV1,
  BenchmarkV1,
  ScoredAnswerV1,
} from '@spatialsv/core/spec';
import { scoreAnswer, scoredQuestion } from '../../answers.js';
import plugin from '../../plugin.js';

/** Real rows of the published files. */
export const REAL = resolve(__dirname, '../../../../../../shared/data/benchmarks');
export const describeReal = existsSync(REAL) ? describe : describe.skip;
if (!existsSync(REAL)) console.warn(`skipped, missing: ${REAL}`);

export const root = mkdtempSync(join(tmpdir(), 'spatialsv-benchmarks-'));
afterAll(() => rmSync(root, { recursive: true }));

export const benchmarkOf = (id: string): BenchmarkV1 => {
  const found = plugin.contributions().find((contribution) => contribution.id === id);
  return found as BenchmarkV1;
};

interface Read {
  readonly questions: readonly BenchmarkQuestionV1[];
  readonly problems: readonly string[];
}

export async function read(
  id: string,
  folder: string,
  variant?: string,
  frames?: number,
): Promise<Read> {
  const benchmark = benchmarkOf(id);
  const problems: string[] = [];
  const options = {
    variant: variant ?? benchmark.variants[0]!,
    onProblem: (problem: SpatialError) => problems.push(problem.message),
    ...(frames !== undefined && { frames }),
  };
  const questions: BenchmarkQuestionV1[] = [];
  for await (const question of benchmark.questions(folder, options)) questions.push(question);
  return { questions, problems };
}

export const promptOf = ({ parts }: BenchmarkQuestionV1): string =>
  parts
    .map((part) =>
      part.type === 'text'
        ? part.text
        : part.type === 'image'
          ? '<image>'
          : `<video ${part.video.frames}>`,
    )
    .join('');

/** Files that rows name, so that they are found. */
export function touch(folder: string, names: readonly string[]): void {
  for (const name of names) {
    mkdirSync(dirname(join(folder, name)), { recursive: true });
    writeFileSync(join(folder, name), '');
  }
}

export const folderOf = (name: string): string => {
  const folder = join(root, name);
  mkdirSync(folder, { recursive: true });
  return folder;
};

/** Answers of a model that says the same to every question, scored and combined. */
export function answered(
  id: string,
  questions: readonly BenchmarkQuestionV1[],
  say: (question: BenchmarkQuestionV1) => string,
  variant?: string,
): { readonly answers: readonly ScoredAnswerV1[]; readonly report: BenchmarkReportV1 } {
  const benchmark = benchmarkOf(id);
  const protocol = { benchmark, variant: variant ?? benchmark.variants[0]! };
  const answers = questions.map((question) =>
    scoreAnswer(protocol, scoredQuestion(question), say(question)),
  );
  return { answers, report: benchmark.combine(answers, protocol.variant) };
}

export const right = ({ right: truth }: BenchmarkQuestionV1): string => truth!.value;
