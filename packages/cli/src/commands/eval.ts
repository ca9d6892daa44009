import { join } from 'node:path';
import {
  type BackboneV1,
  type BenchmarkV1,
  hashPromptFiles,
  hashWeights,
  readSampleImages,
  type SampleV1,
  SpatialError,
  withCleanup,
  writeFileAtomic,
} from '@spatialsv/core';
import {
  type Accuracy,
  type AccuracyReport,
  accuracyReport,
  BackboneRunner,
  type EvaluationIdentity,
  evaluate,
  RESULTS_FILE,
  tablePercentage,
} from '@spatialsv/eval';
import type { WeightOptions } from '../command-line/options.js';
import { composePlugins } from '../composition.js';
import { type CommandContext, formatTable } from '../context.js';
import {
  describeGeneration,
  type GenerationOptions,
  type GenerationPlan,
  planFor,
  planGeneration,
} from '../generation.js';
import { describeWeights, openModel, readImages } from '../model.js';
import { parseSettings, type Settings } from '../settings.js';
import { packageVersion } from '../version.js';

export interface EvalOptions extends WeightOptions, GenerationOptions {
  readonly model: string;
  readonly benchmark: string;
  readonly data: string;
  readonly out: string;
  readonly device: string;
  readonly seed: number;
  readonly limit?: number;
  /** Tokens of an answer at most where neither options nor checkpoint say. */
  readonly usualLength: number;
  readonly minPixels?: number;
  readonly maxPixels?: number;
  readonly set?: Readonly<Record<string, string>>;
  readonly overwrite: boolean;
  readonly json: boolean;
}

/** What was asked for. */
type RunSettings = Pick<EvalOptions, 'model' | 'benchmark' | 'data' | 'minPixels' | 'maxPixels'> & {
  readonly settings?: Settings;
};

export async function runEvaluation(options: EvalOptions, context: CommandContext): Promise<void> {
  const { progress, signal } = context;
  progress.start('Reading');
  const plugins = await composePlugins(context.folder);
  const benchmark = plugins.resolveBenchmark(options.benchmark);
  const backbone = await openModel(options.model, plugins, options, context.err);
  const samples = await readSamples(benchmark, options);
  const settings = backbone.config.generation;
  const generation = planGeneration(settings, options, options.usualLength);
  const nameOf = (index: number) => `${options.data}: sample '${samples[index]!.id}'`;
  await readSampleImages({ samples, nameOf, backbone, signal });
  const identity = await identify(backbone, options, generation);
  const runner = new BackboneRunner(backbone, {
    device: options.device,
    weights: options.weightPolicy,
  });
  context.err(`${describeWeights(runner.weights)}\n${describeGeneration(generation, settings)}\n`);
  progress.start('Answering', samples.length);
  const work = () =>
    evaluate({
      samples,
      answer: answerer(backbone, runner, generation, signal),
      extract: (sample, text) => benchmark.extract(sample, text),
      folder: { path: options.out, identity, overwrite: options.overwrite },
      signal,
      onProgress: (done) => progress.update(done),
    });
  const predictions = await withCleanup(work, () => runner.dispose());
  const report = accuracyReport(predictions, options.seed);
  progress.done(`${report.overall.correct} of ${report.overall.total} right`);
  await writeFileAtomic(
    join(options.out, RESULTS_FILE),
    `${JSON.stringify({ ...settingsOf(options), ...generation, identity, seed: options.seed, weights: runner.weights, ...report }, null, 2)}\n`,
  );
  context.out(
    options.json
      ? `${JSON.stringify({ ...report, weights: runner.weights })}\n`
      : formatReport(report),
  );
  for (const remark of benchmark.remarks?.(samples) ?? []) context.err(`${remark}\n`);
}

async function readSamples(
  benchmark: BenchmarkV1,
  { data, limit = Number.POSITIVE_INFINITY }: EvalOptions,
): Promise<readonly SampleV1[]> {
  const samples: SampleV1[] = [];
  for await (const sample of benchmark.samples(data)) {
    if (samples.length >= limit) break;
    samples.push(sample);
  }
  if (samples.length > 0) return samples;
  throw new SpatialError({
    code: 'DATA_INVALID',
    message: `${data}: no questions found`,
    hint: 'Name the folder of the benchmark’s own files.',
  });
}

function answerer(
  backbone: BackboneV1,
  runner: BackboneRunner,
  generation: GenerationPlan,
  signal: AbortSignal,
) {
  return async ({ id, images: paths, question, system }: SampleV1): Promise<string> => {
    const images = await readImages(paths);
    const inputs = await backbone.prepare({
      images,
      question: question!,
      ...(system !== undefined && { system }),
    });
    const options = { ...planFor(generation, id), signal };
    const { text, stoppedBy } = await runner.generate(inputs, options);
    if (stoppedBy === 'signal') signal.throwIfAborted();
    return text;
  };
}

function settingsOf(options: EvalOptions): RunSettings {
  const { model, benchmark, data, minPixels, maxPixels, set } = options;
  return {
    model,
    benchmark,
    data,
    ...(minPixels !== undefined && { minPixels }),
    ...(maxPixels !== undefined && { maxPixels }),
    ...(set !== undefined && { settings: parseSettings('--set', set) }),
  };
}

/** What answers depend on. Paths do not belong to it: what lies there does. */
async function identify(
  backbone: BackboneV1,
  options: EvalOptions,
  generation: GenerationPlan,
): Promise<EvaluationIdentity> {
  const { model: _, data: __, ...settings } = settingsOf(options);
  return {
    weights: await hashWeights(backbone.weights),
    prompt: await hashPromptFiles(backbone.folder),
    settings: { adapter: backbone.adapterId, ...settings, ...generation },
    versions: { spatialsv: packageVersion() },
  };
}

/** Accuracy by category, then the chance lines and tests. */
export function formatReport({
  overall,
  byCategory,
  chance,
  significance,
  unreadable,
}: AccuracyReport): string {
  const { total } = overall;
  const row = (name: string, { correct, total: count, interval }: Accuracy) => [
    name,
    tablePercentage(correct, count),
    `${correct}/${count}`,
    `${(100 * interval[0]).toFixed(1)}–${(100 * interval[1]).toFixed(1)}`,
  ];
  const line = (name: string, correct: number) => [
    name,
    tablePercentage(correct, total),
    `${Math.round(correct)}/${total}`,
  ];
  const table = formatTable([
    ['CATEGORY', '%', 'RIGHT', '95 %'],
    ...Object.entries(byCategory).map(([name, accuracy]) => row(name, accuracy)),
    row('overall', overall),
    line('chance: a letter of A–D at random', chance.random.letters4),
    line('chance: an option at random', chance.random.options),
    line('chance: most frequent letter', chance.frequency.perCategory),
  ]);
  const points = significance.pointsOverFrequency;
  return `${table}${points >= 0 ? '+' : ''}${points.toFixed(1)} points over the most frequent letter, p = ${formatP(significance.binomialP)} (binomial), ${formatP(significance.permutationP)} (permutation); ${unreadable} answers without a letter\n`;
}

const formatP = (p: number): string => (p < 1e-4 ? p.toExponential(1) : p.toFixed(4));
