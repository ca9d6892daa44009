/** The contract of benchmarks, a part of `spec.ts`: types alone. */
import type { ContributionBaseV1 } from './contribution-spec.js';
import type { SpatialError } from './errors.js';

/** An image of a question: a file, or bytes that lie inside a file of the benchmark. */
export interface BenchmarkImageV1 {
  /** For messages: a path, or a file with a row, such as `dev.tsv:21`. */
  readonly name: string;
  /** Absolute path of the image, or its bytes, which are read when the question is asked. */
  readonly source: string | (() => Promise<Uint8Array>);
}

/** A video of a question, of which `frames` are shown. */
export interface BenchmarkVideoV1 {
  /** Absolute path. */
  readonly path: string;
  /** Frames i·(N−1)/(K−1) of N, i = 0 … K−1, cut to whole numbers, the last one N−1. */
  readonly frames: number;
}

/** What the model reads, in this order. */
export type PromptPartV1 =
  | { readonly type: 'text'; readonly text: string }
  | { readonly type: 'image'; readonly image: BenchmarkImageV1 }
  | { readonly type: 'video'; readonly video: BenchmarkVideoV1 };

export interface AnswerOptionV1 {
  readonly letter: string;
  readonly text: string;
}

/** The right answer. `letter`: of an option; `text`: compared by the benchmark's own rule. */
export interface RightAnswerV1 {
  readonly kind: 'letter' | 'yes-no' | 'text' | 'number';
  readonly value: string;
}

/** What of a question is needed to score an answer to it: kept beside the answer. JSON. */
export interface ScoredQuestionV1 {
  /** Unique within the benchmark; the row number where its files have none. */
  readonly id: string;
  /** Column of the benchmark's table. */
  readonly category: string;
  /** Questions that only count together, such as the rotations of one question. */
  readonly group?: string;
  /** Questions about one scene depend on each other: standard errors are clustered by it. */
  readonly scene?: string;
  readonly options?: readonly AnswerOptionV1[];
  /** Absent where the benchmark keeps its answers to itself. */
  readonly right?: RightAnswerV1;
  /** The benchmark's own, JSON. */
  readonly details?: Readonly<Record<string, unknown>>;
}

/** One question of a benchmark, as it is asked. */
export interface BenchmarkQuestionV1 extends ScoredQuestionV1 {
  readonly parts: readonly PromptPartV1[];
  readonly system?: string;
  /** The benchmark's limit of an answer. */
  readonly maxNewTokens: number;
}

/** An answer with its score. */
export interface ScoredAnswerV1 {
  readonly question: ScoredQuestionV1;
  /** What was read out of the answer; null where nothing could be. */
  readonly extracted: string | null;
  /** In [0, 1]. */
  readonly score: number;
  /** What the model said; absent for a guess. */
  readonly raw?: string;
}

/** One figure of a report. */
export interface ScoreColumnV1 {
  readonly name: string;
  /**
   * `accuracy`: share of what is right or wrong; `score`: mean of scores in [0, 1]; `error`: in the unit of the answers; `count`:
   * so many of the answers.
   */
  readonly unit: 'accuracy' | 'score' | 'error' | 'count';
  readonly value: number;
  /** Questions, or groups of questions, that count. */
  readonly total: number;
  /** How many of them are right, for an accuracy. */
  readonly correct?: number;
}

/** What a benchmark makes of scored answers. */
export interface BenchmarkReportV1 {
  /** The figure that stands for the benchmark. */
  readonly overall: ScoreColumnV1;
  /** Under it, in the order of the benchmark's own table. */
  readonly columns: readonly ScoreColumnV1[];
  /** Other figures over all questions, such as a macro mean beside a micro one. */
  readonly beside?: readonly ScoreColumnV1[];
}

export interface BenchmarkReadOptionsV1 {
  /** One of the benchmark's variants. */
  readonly variant: string;
  /** Frames of a video; the benchmark's own number where absent. */
  readonly frames?: number;
  /** Folder that image paths are relative to, for benchmarks that cannot know it. */
  readonly imageRoot?: string;
  /** What the files call a field, by the benchmark's own name for it: for files whose layout is not known. */
  readonly fields?: Readonly<Record<string, string>>;
  /** Told of every row that cannot be asked, by file and row: it is left out and counted. */
  readonly onProblem: (problem: SpatialError) => void;
}

/** A set of questions with the protocol by which they are asked, read and scored. */
export interface BenchmarkV1 extends ContributionBaseV1<'benchmark'> {
  /** As tables print it. */
  readonly title: string;
  /** Protocols; the first is taken where none is named. */
  readonly variants: readonly string[];
  /**
   * Reads the benchmark's own files below `folder`, which may also be such a file.
   * @throws SpatialError FILE_MISSING with the names that were looked for.
   */
  questions(folder: string, options: BenchmarkReadOptionsV1): AsyncIterable<BenchmarkQuestionV1>;
  /** What an answer text says: a letter, a word, a number; undefined where nothing can be read. */
  extract(text: string, question: ScoredQuestionV1, variant: string): string | undefined;
  /** In [0, 1]. Called where the right answer is known. */
  score(extracted: string | undefined, question: ScoredQuestionV1, variant: string): number;
  combine(answers: readonly ScoredAnswerV1[], variant: string): BenchmarkReportV1;
  /** What a reader of results on these questions has to know, for example which revision of the benchmark they are. */
  remarks?(questions: readonly ScoredQuestionV1[], variant: string): readonly string[];
}
