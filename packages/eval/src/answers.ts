import type { BenchmarkV1, ScoredAnswerV1, ScoredQuestionV1 } from '@spatialsv/core/spec';

/** One question with its answer: a line of `predictions.jsonl`. Everything that a score depends on is in it. */
export interface Answer extends ScoredAnswerV1 {
  /** Place of the question in its benchmark, from 0. */
  readonly index: number;
  /** SHA-256 of what the question is, see `questionKey`. */
  readonly key: string;
  /** What the model said. */
  readonly raw: string;
}

/** Which benchmark answers belong to, and by which of its protocols. */
export interface Protocol {
  readonly benchmark: BenchmarkV1;
  readonly variant: string;
}

/** The facts of a question that stay beside its answer: those that are JSON. */
export function scoredQuestion(question: ScoredQuestionV1): ScoredQuestionV1 {
  const { id, category, group, scene, options, right, details } = question;
  return {
    id,
    category,
    ...(group !== undefined && { group }),
    ...(scene !== undefined && { scene }),
    ...(options !== undefined && { options }),
    ...(right !== undefined && { right }),
    ...(details !== undefined && { details }),
  };
}

/** Reads an answer and scores it. Without a known right answer the score is 0. */
export function scoreAnswer(
  { benchmark, variant }: Protocol,
  question: ScoredQuestionV1,
  raw: string,
): ScoredAnswerV1 {
  const extracted = benchmark.extract(raw, question, variant);
  const score = question.right === undefined ? 0 : benchmark.score(extracted, question, variant);
  return { question, extracted: extracted ?? null, score };
}
