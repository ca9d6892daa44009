import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import {
  type BackboneV1,
  hashPromptFiles,
  hashWeights,
  knownHashes,
  type PluginRegistry,
  type PreparedInputsV1,
  readSampleImages,
  readSpatialCheckpoint,
  SpatialError,
  withCleanup,
  writeFileAtomic,
} from '@spatialsv/core';
import type { BenchmarkQuestionV1, BenchmarkV1 } from '@spatialsv/core/spec';
import {
  type Answer,
  askingOrder,
  BackboneRunner,
  type EvaluationIdentity,
  type EvaluationResults,
  evaluate,
  evaluationResults,
  hashAnswers,
  hasOrigin,
  type ImageSizes,
  type Protocol,
  RESULTS_FILE,
} from '@spatialsv/eval';
import { imageFiles, protocolOf } from '../benchmark.js';
import { composePlugins } from '../composition.js';
import type { CommandContext } from '../context.js';
import { counted } from '../counted.js';
import { describeGeneration, type GenerationPlan, planFor, planGeneration } from '../generation.js';
import { requireDepth } from '../lifts/heads.js';
import { openLabels } from '../lifts/labels.js';
import { LIFTS_FOLDER, type LiftRequest, liftQuestions } from '../lifts/lift-questions.js';
import { describeWeights, openModel } from '../model.js';
import { Preparation } from '../preparation.js';
import { targetOf } from '../target.js';
import { packageVersion } from '../version.js';
import { isWholeOrigin, originOf, repeatFinished, settingsOf } from './eval-finished.js';
import type { EvalOptions } from './eval-options.js';
import { formatEvaluation } from './format-evaluation.js';

/** Prompts that are made ready while others are answered. */
const PREPARED_AHEAD = 4;

export async function runEvaluation(options: EvalOptions, context: CommandContext): Promise<void> {
  const { protocol, results } = await evaluateModel(options, context);
  context.out(options.json ? `${JSON.stringify(results)}\n` : formatEvaluation(protocol, results));
}

/** An evaluation that is complete, and what its run folder says of it. */
export interface Evaluated {
  readonly protocol: Protocol;
  readonly results: EvaluationResults;
}

/** What an evaluation asks, and with what. */
interface Evaluation {
  readonly options: EvalOptions;
  readonly protocol: Protocol;
  readonly questions: readonly BenchmarkQuestionV1[];
  /** Rows that cannot be asked. */
  readonly leftOut: number;
  readonly sizes: ImageSizes;
  readonly backbone: BackboneV1;
  readonly generation: GenerationPlan;
  readonly identity: EvaluationIdentity;
  readonly origin: string | undefined;
  readonly lifting: Lifting | undefined;
}

/** Asks what has not been asked, counts, and writes the results beside the answers. */
export async function evaluateModel(
  options: EvalOptions,
  context: CommandContext,
): Promise<Evaluated> {
  context.progress.start('Reading');
  const plugins = await composePlugins(context.folder);
  const protocol = protocolOf(plugins, options.benchmark, options.variant);
  const origin = await originOf(options, plugins);
  const repeated = origin && (await repeat(protocol, origin, options, context));
  if (repeated) return { protocol, results: repeated };
  const evaluation = await openEvaluation(options, protocol, origin, plugins, context);
  return { protocol, results: await askModel(evaluation, context) };
}

/** Opens the model and reads the questions: what is wrong with them is said before anything is asked. */
async function openEvaluation(
  options: EvalOptions,
  protocol: Protocol,
  origin: string | undefined,
  plugins: PluginRegistry,
  { err, signal }: CommandContext,
): Promise<Evaluation> {
  const backbone = await openModel(options.model, plugins, options, err);
  const lifting = await openLifting(options, plugins);
  const read = await readQuestions(protocol, options, err);
  const sizes = await readImageHeaders(read.questions, backbone, options.data, signal);
  const limits = withLimit(options, read.questions);
  const generation = planGeneration(backbone.config.generation, limits, 1);
  const identity = await identify(backbone, options, generation);
  const known = isWholeOrigin(backbone) ? origin : undefined;
  return {
    ...{ options, protocol, ...read, sizes, backbone },
    ...{ generation, identity, origin: known, lifting },
  };
}

async function askModel(
  evaluation: Evaluation,
  context: CommandContext,
): Promise<EvaluationResults> {
  const { options, backbone, generation, lifting } = evaluation;
  const runner = openRunner(evaluation);
  const preparation = openPreparation(evaluation, context.folder);
  const plan = describeGeneration(generation, backbone.config.generation);
  context.err(`${describeWeights(runner.weights)}\n${plan}\n`);
  const answers = await withCleanup(
    async () => {
      const found = await askQuestions(evaluation, runner, preparation, context);
      if (lifting !== undefined)
        await liftAsked({ ...evaluation, lifting }, found, runner, context);
      return found;
    },
    () => runner.dispose(),
    () => preparation.dispose(),
    () => lifting?.labeller?.dispose(),
  );
  context.progress.done(counted(answers.length, 'question'));
  const results = evaluationResults(evaluation.protocol, answers, options.seed);
  return keepResults(evaluation, results, runner.weights, context);
}

const atOnce = ({ batch = 8 }: EvalOptions): number => batch;

const openRunner = ({ backbone, options }: Evaluation): BackboneRunner =>
  new BackboneRunner(backbone, {
    ...targetOf(options),
    weights: options.weightPolicy,
    answers: atOnce(options),
  });

function openPreparation({ backbone, options }: Evaluation, folder: string): Preparation {
  const { model, minPixels, maxPixels, set } = options;
  return new Preparation(backbone, {
    folder,
    model,
    options: {
      ...(minPixels !== undefined && { minPixels }),
      ...(maxPixels !== undefined && { maxPixels }),
      ...(set !== undefined && { set }),
    },
  });
}

/** The questions of this run: every n-th with `--shard`. */
function ownQuestions({ questions, options }: Evaluation): readonly BenchmarkQuestionV1[] {
  const { count = 1, index = 1 } = options.shard ?? {};
  return questions.filter((_, i) => i % count === index - 1);
}

async function askQuestions(
  evaluation: Evaluation,
  runner: BackboneRunner,
  preparation: Preparation,
  { progress, signal, err }: CommandContext,
): Promise<readonly Answer[]> {
  const { options, protocol, questions, sizes, generation, identity, origin } = evaluation;
  const { out: path, overwrite, shard } = options;
  progress.start('Answering', ownQuestions(evaluation).length);
  if (overwrite) await rm(join(path, LIFTS_FOLDER), { recursive: true, force: true });
  return evaluate({
    ...{ ...protocol, questions, shard, signal },
    atOnce: atOnce(options) + PREPARED_AHEAD,
    order: askingOrder(questions, sizes),
    answer: async (question) => {
      const inputs = await preparation.prepare(question);
      return answer(runner, inputs, limited(question, options, generation), signal);
    },
    folder: { path, identity, origin, overwrite },
    onProgress: (done) => progress.update(done),
  }).catch((error: unknown) => {
    if (signal.aborted) err('Stopped. Repeat the command to go on: finished answers are kept.\n');
    throw error;
  });
}

/** Lifts the views of the questions that were asked. */
async function liftAsked(
  evaluation: Evaluation & { readonly lifting: Lifting },
  answers: readonly Answer[],
  runner: BackboneRunner,
  context: CommandContext,
): Promise<void> {
  context.progress.done(counted(answers.length, 'answer'));
  const questions = ownQuestions(evaluation);
  const run = evaluation.options.out;
  await liftQuestions({ ...evaluation.lifting, questions, runner, run }, context);
}

/** Writes the results beside the answers. */
async function keepResults(
  { options: { out }, protocol, questions, leftOut, identity }: Evaluation,
  results: EvaluationResults,
  weights: BackboneRunner['weights'],
  { err }: CommandContext,
): Promise<EvaluationResults> {
  const answersHash = await hashAnswers(out);
  const written = { ...results, leftOut, identity, weights, answersHash };
  await writeResults(out, written);
  for (const remark of remarksOf(protocol, questions)) err(`${remark}\n`);
  return written;
}

const writeResults = (folder: string, results: EvaluationResults): Promise<void> =>
  writeFileAtomic(join(folder, RESULTS_FILE), `${JSON.stringify(results, null, 2)}\n`);

/**
 * The results of an evaluation that has all of its answers, without its model.
 * @returns undefined where something is to be done with the model.
 */
async function repeat(
  protocol: Protocol,
  origin: string,
  options: EvalOptions,
  { progress, err }: CommandContext,
): Promise<EvaluationResults | undefined> {
  if (options.lift || options.overwrite || !(await hasOrigin(options.out, origin)))
    return undefined;
  const said: string[] = [];
  const read = await readQuestions(protocol, options, (text) => said.push(text));
  const results = await repeatFinished({ ...protocol, options, origin, ...read });
  if (results === undefined) return undefined;
  await writeResults(options.out, results);
  progress.done(counted(results.counts.questions, 'question'));
  err(`${said.join('')}every question has its answer: the model was not asked\n`);
  for (const remark of remarksOf(protocol, read.questions)) err(`${remark}\n`);
  return results;
}

type Lifting = Pick<LiftRequest, 'heads' | 'labeller'>;

/** Heads and labels of `--lift`: what is missing is said before anything is asked. */
async function openLifting(
  options: EvalOptions,
  plugins: PluginRegistry,
): Promise<Lifting | undefined> {
  const { model, lift, labels, source } = options;
  if (!lift) {
    if (labels === undefined && source === undefined) return undefined;
    throw new SpatialError({
      code: 'USAGE',
      message: 'eval: --labels and --source are put beside lifts',
      hint: 'Add --lift.',
    });
  }
  const stored = await readSpatialCheckpoint(model, plugins.resolveGeometryHead);
  return {
    heads: requireDepth(model, stored),
    labeller: await openLabels(options, targetOf(options), plugins),
  };
}

/** What can be known of images without their pixels does not end a run in the middle. */
async function readImageHeaders(
  questions: readonly BenchmarkQuestionV1[],
  backbone: BackboneV1,
  data: string,
  signal: AbortSignal,
): Promise<ImageSizes> {
  const samples = questions.map((question) => ({ id: question.id, images: imageFiles(question) }));
  const nameOf = (index: number) => `${data}: question '${questions[index]!.id}'`;
  return readSampleImages({ samples, nameOf, backbone, signal });
}

/** Rows that cannot be asked are named one by one up to this. */
const NAMED_PROBLEMS = 10;

async function readQuestions(
  { benchmark, variant }: Protocol,
  { data, frames, imageRoot, field, limit = Number.POSITIVE_INFINITY }: EvalOptions,
  err: CommandContext['err'],
): Promise<{ readonly questions: readonly BenchmarkQuestionV1[]; readonly leftOut: number }> {
  const questions: BenchmarkQuestionV1[] = [];
  let leftOut = 0;
  const onProblem = (problem: SpatialError) => {
    leftOut += 1;
    if (leftOut <= NAMED_PROBLEMS) err(`left out: ${problem.message}\n`);
  };
  const read = benchmark.questions(data, {
    variant,
    onProblem,
    ...(frames !== undefined && { frames }),
    ...(imageRoot !== undefined && { imageRoot }),
    ...(field !== undefined && { fields: field }),
  });
  try {
    for await (const question of read) {
      if (questions.length >= limit) break;
      questions.push(question);
    }
  } catch (error) {
    throw SpatialError.isInstance(error) ? error : failedBenchmark(benchmark, data, error as Error);
  }
  if (leftOut > 0) err(`${counted(leftOut, 'row')} left out\n`);
  if (questions.length > 0) return { questions, leftOut };
  throw noQuestions(benchmark, variant, { data, leftOut });
}

/** Benchmarks are code of others, which may fail with an error of its own. */
const failedBenchmark = ({ id }: BenchmarkV1, data: string, cause: Error): SpatialError =>
  new SpatialError({
    code: 'PLUGIN_INVALID',
    message: `benchmark ${id}: ${data}: ${cause.message}`,
    hint: 'Check the files of the benchmark; if they are right, tell its author.',
    cause,
  });

const noQuestions = (
  { title, variants }: BenchmarkV1,
  variant: string,
  { data, leftOut }: { readonly data: string; readonly leftOut: number },
): SpatialError => {
  // Rows that were left out are so in every variant.
  const others = leftOut > 0 ? [] : variants.filter((each) => each !== variant);
  const other = others.length === 0 ? '' : `, or ask those of --variant ${others.join(' or ')}`;
  return new SpatialError({
    code: 'DATA_INVALID',
    message: `${data}: no questions of ${title} (${variant}) that can be asked${leftOut > 0 ? `, ${counted(leftOut, 'row')} left out` : ''}`,
    hint: `Name the folder of the benchmark’s own files${other}; \`spatialsv check DATA --benchmark ID\` lists what is wrong with them.`,
  });
};

/** What is said of the length of answers: the longest limit of the questions, unless one was asked for. */
const withLimit = (
  options: EvalOptions,
  questions: readonly BenchmarkQuestionV1[],
): EvalOptions => ({
  ...options,
  maxNewTokens:
    options.maxNewTokens ?? questions.reduce((most, each) => Math.max(most, each.maxNewTokens), 1),
});

/** The plan for one question, whose own limit counts unless another was asked for. */
const limited = (
  { id, maxNewTokens }: BenchmarkQuestionV1,
  options: EvalOptions,
  plan: GenerationPlan,
): GenerationPlan => ({ ...planFor(plan, id), maxNewTokens: options.maxNewTokens ?? maxNewTokens });

async function answer(
  runner: BackboneRunner,
  inputs: PreparedInputsV1,
  plan: GenerationPlan,
  signal: AbortSignal,
): Promise<string> {
  const { text, stoppedBy } = await runner.generate(inputs, { ...plan, signal });
  if (stoppedBy === 'signal') signal.throwIfAborted();
  return text;
}

/** What answers depend on. Paths do not belong to it: what lies there does. */
async function identify(
  backbone: BackboneV1,
  options: EvalOptions,
  { maxNewTokens: _, ...generation }: GenerationPlan,
): Promise<EvaluationIdentity> {
  return {
    weights: await hashWeights(backbone.weights, knownHashes.of),
    prompt: await hashPromptFiles(backbone.folder),
    settings: { adapter: backbone.adapterId, ...settingsOf(options), ...generation },
    versions: { spatialsv: packageVersion() },
  };
}

/** What a reader has to know of results on these questions. */
const remarksOf = ({ benchmark, variant }: Protocol, questions: readonly BenchmarkQuestionV1[]) =>
  benchmark.remarks?.(questions, variant) ?? [];
