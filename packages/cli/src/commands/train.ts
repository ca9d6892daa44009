import { dirname, join } from 'node:path';
import { SpatialError, withCleanup } from '@spatialsv/core';
import type { Precision } from '@spatialsv/engine';
import {
  CHANGE_KINDS,
  type ChangeKind,
  loadTrainConfig,
  type ModelDefaults,
  type Origin,
  SKIPPED_FILE,
  type StepMetrics,
  type TrainConfig,
  type TrainOptions,
  type TrainResult,
  train,
} from '@spatialsv/train';
import { composePlugins } from '../composition.js';
import type { CommandContext } from '../context.js';
import { counted } from '../counted.js';
import { openModel } from '../model.js';
import { formatSeconds } from '../progress.js';
import { openSampleThreads } from '../sample-threads.js';
import { backboneOptions, openTeachers } from '../train-parts.js';
import { packageVersion } from '../version.js';
import { RunWatcher } from '../view/watch-run.js';

export interface TrainCommandOptions {
  readonly resume: boolean;
  /** Names of kinds of changes. */
  readonly acceptChanges?: readonly string[];
  /** Predict instead of training. */
  readonly plan: boolean;
  /** A measurement of a prediction: layers and what is recomputed, `4,layer`. */
  readonly measure?: string;
  /** Instead of that of the configuration. */
  readonly device?: string;
  readonly precision?: Precision;
  readonly json: boolean;
}

/** @throws SpatialError USAGE for a name that is none. */
function changeKinds(names: readonly string[]): readonly ChangeKind[] {
  const unknown = names.find((name) => !(CHANGE_KINDS as readonly string[]).includes(name));
  if (unknown === undefined) return names as readonly ChangeKind[];
  throw new SpatialError({
    code: 'USAGE',
    message: `--accept-changes: expected ${CHANGE_KINDS.join(', ')}, found "${unknown}"`,
    hint: 'Run the command with --help to see its options.',
  });
}

/** The configuration with another device or precision, where one was asked for. */
export const onTarget = (
  config: TrainConfig,
  { device, precision }: Pick<TrainCommandOptions, 'device' | 'precision'>,
): TrainConfig => ({
  ...config,
  ...(device !== undefined && { device }),
  ...(precision !== undefined && { precision }),
});

export async function runTraining(
  file: string,
  { resume, json, acceptChanges, ...target }: TrainCommandOptions,
  context: CommandContext,
): Promise<void> {
  if (acceptChanges !== undefined && !resume) throw nothingResumed();
  const started = performance.now();
  context.progress.start('Reading');
  const config = onTarget(await loadTrainConfig(file), target);
  const kinds = acceptChanges && changeKinds(acceptChanges);
  const { result, last } = await trainConfigured(
    config,
    { resume, folder: dirname(file), ...(kinds && { acceptChanges: kinds }) },
    context,
  );
  const seconds = (performance.now() - started) / 1000;
  if (json) context.out(`${JSON.stringify({ ...result, metrics: last, seconds })}\n`);
  else context.out(`${result.checkpoint}\n`);
  if (result.complete) return;
  context.err(
    `Stopped and saved after ${formatSeconds(seconds)}. Go on with: spatialsv train ${file} --resume\n`,
  );
  context.signal.throwIfAborted();
}

const nothingResumed = (): SpatialError =>
  new SpatialError({
    code: 'USAGE',
    message: 'train: --accept-changes is of a run that goes on, found no --resume',
    hint: 'Add --resume, or leave --accept-changes out.',
  });

interface ConfiguredOptions {
  readonly resume: boolean;
  readonly acceptChanges?: readonly ChangeKind[];
  /** Where plugins are looked for, unless the configuration names them. */
  readonly folder: string;
}

/**
 * Trains a configuration with the model, the source and the plugins that it names.
 * @returns also the metrics of the last step that was taken.
 */
export async function trainConfigured(
  config: TrainConfig,
  { resume, acceptChanges, folder }: ConfiguredOptions,
  context: CommandContext,
): Promise<{ readonly result: TrainResult; readonly last: StepMetrics | undefined }> {
  const plugins = await composePlugins(folder, config.plugins);
  const backbone = await openModel(config.model, plugins, backboneOptions(config), context.err);
  const { source, secondTeacher, dispose } = await openTeachers(config, plugins);
  const threads = openSampleThreads(config, folder);
  const watcher = new RunWatcher(config.out, backbone, source);
  const report = reportRun(context, backbone.adapterId);
  const work = () =>
    train(config, {
      ...{ backbone, source, secondTeacher, preparation: threads.preparation },
      findHead: plugins.resolveGeometryHead,
      formats: plugins,
      resume,
      ...(acceptChanges !== undefined && { acceptChanges }),
      signal: context.signal,
      versions: { spatialsv: packageVersion() },
      onWatch: (look) => watcher.keep(look),
      ...report.listener,
    });
  const result = await withCleanup(work, threads.dispose, dispose);
  report.finish(result, config.out);
  return { result, last: report.last() };
}

/** Says what a run does, and keeps its last metrics. */
function reportRun({ progress, err }: CommandContext, family: string) {
  let last: StepMetrics | undefined;
  let skipped = 0;
  const listener: Pick<TrainOptions, 'onStart' | 'onSkip' | 'onStep'> = {
    onStart: ({ steps, done, samples, parameters, defaults }) => {
      const about = `${counted(samples, 'sample')}, ${parameters} trained parameters`;
      err(`${about}, steps ${done + 1} to ${steps}\n${describeDefaults(defaults, family)}\n`);
      progress.start('Training', steps);
      progress.update(done);
    },
    onSkip: ({ sample, message }) => {
      skipped += 1;
      err(`left out: sample '${sample}': ${message}\n`);
    },
    onStep: (metrics) => {
      last = metrics;
      progress.update(metrics.step, describeStep(metrics));
    },
  };
  const finish = ({ complete }: TrainResult, out: string) => {
    const state = complete ? 'Trained' : 'Stopped';
    progress.done(
      last === undefined ? state : `${state}: step ${last.step}, ${describeStep(last)}`,
    );
    if (skipped > 0) err(`${counted(skipped, 'sample')} left out: ${join(out, SKIPPED_FILE)}\n`);
  };
  return { listener, finish, last: () => last };
}

/** Taps and learning rates in a line, each with where it comes from. */
function describeDefaults({ model, taps, learningRates }: ModelDefaults, family: string): string {
  const from = (origin: Origin) => (origin === 'model' ? (model ?? family) : 'the configuration');
  const rates = Object.entries(learningRates).map(
    ([name, { value, from: origin }]) => `${name} ${value} (${from(origin)})`,
  );
  const tapped =
    taps.values.length === 0 ? '' : `taps ${taps.values.join(', ')} (${from(taps.from)}); `;
  return `${tapped}learning rates: ${rates.join(', ')}`;
}

/** The losses in a few characters: `loss 3.21 (text 0.91 depth 0.44 …) 12.3 samples/s`. */
function describeStep({ losses, samplesPerSecond }: StepMetrics): string {
  const { total, ...terms } = losses;
  const parts = Object.entries(terms).flatMap(([term, value]) =>
    value === null ? [] : [`${term} ${value.toFixed(3)}`],
  );
  return `loss ${total?.toFixed(3)} (${parts.join(' ')}) ${samplesPerSecond.toFixed(1)} samples/s`;
}
