import { dirname } from 'node:path';
import {
  formatSeconds,
  type LabellerV1,
  openStoredLabels,
  type PluginRegistry,
  type ProgressReporter,
  withCleanup,
} from '@spatialsv/core';
import {
  CHANGE_KINDS,
  type ChangeKind,
  loadTrainConfig,
  type StepMetrics,
  type TrainConfig,
  train,
} from '@spatialsv/train';
import { type Command, InvalidArgumentError } from 'commander';
import { composePlugins } from '../composition.js';
import type { CommandContext } from '../context.js';
import { openModel } from '../model.js';
import { describeCommand } from '../options.js';
import { packageVersion } from '../version.js';

interface TrainCommandOptions {
  readonly resume: boolean;
  readonly acceptChanges?: readonly ChangeKind[];
  readonly json: boolean;
}

export function registerTrain(program: Command, context: CommandContext): void {
  describeCommand(
    program.command('train'),
    `Train a model as a YAML file says: text, distillation and 3D losses over a frozen vision encoder.
Writes metrics.jsonl, manifest.json and checkpoints in the Hugging Face layout. Ctrl-C finishes the step and saves.`,
    ['train config.yaml', 'train config.yaml --resume'],
  )
    .argument('<config>', 'YAML file; docs/training.md lists its keys')
    .option('--resume', 'go on from the newest checkpoint of the run folder', false)
    .option(
      '--accept-changes <kinds>',
      `resume although these have changed: ${CHANGE_KINDS.join(', ')}`,
      changeKinds,
    )
    .option('--json', 'print one JSON object at the end', false)
    .action((file: string, options: TrainCommandOptions) => runTraining(file, options, context));
}

/** Parser of `weights,data`. */
function changeKinds(text: string): readonly ChangeKind[] {
  const names = text.split(',').map((name) => name.trim());
  const kinds = CHANGE_KINDS.filter((kind) => names.includes(kind));
  if (names.every((name) => kinds.some((kind) => kind === name))) return kinds;
  throw new InvalidArgumentError(`Expected some of ${CHANGE_KINDS.join(', ')}, with commas.`);
}

async function runTraining(
  file: string,
  { resume, json, acceptChanges }: TrainCommandOptions,
  context: CommandContext,
): Promise<void> {
  const { progress, signal } = context;
  const started = performance.now();
  progress.start('Reading');
  const config = await loadTrainConfig(file);
  const plugins = await composePlugins(dirname(file), config.plugins);
  const { minPixels, maxPixels } = config.imageBudget;
  const backbone = await openModel(config.model, plugins, {
    ...(minPixels !== undefined && { minPixels }),
    ...(maxPixels !== undefined && { maxPixels }),
  });
  const source = await openSource(config, plugins);
  let last: StepMetrics | undefined;
  const work = () =>
    train(config, {
      backbone,
      source,
      findHead: plugins.resolveGeometryHead,
      resume,
      ...(acceptChanges !== undefined && { acceptChanges }),
      signal,
      versions: { spatialsv: packageVersion() },
      onStart: ({ steps, done, samples, parameters }) => {
        context.err(
          `${samples} samples, ${parameters} trained parameters, steps ${done + 1} to ${steps}\n`,
        );
        progress.start('Training', steps);
        progress.update(done);
      },
      onStep: (metrics) => {
        last = metrics;
        progress.update(metrics.step, describeStep(metrics));
      },
    });
  const result = await withCleanup(work, () => source?.dispose());
  finish(progress, result, last);
  const seconds = (performance.now() - started) / 1000;
  if (json) context.out(`${JSON.stringify({ ...result, metrics: last, seconds })}\n`);
  else context.out(`${result.checkpoint}\n`);
  if (result.complete) return;
  context.err(
    `Stopped and saved after ${formatSeconds(seconds)}. Go on with: spatialsv train ${file} --resume\n`,
  );
  signal.throwIfAborted();
}

async function openSource(
  { source: { name, store, weights, settings }, device }: TrainConfig,
  plugins: PluginRegistry,
): Promise<LabellerV1 | undefined> {
  if (store !== undefined) return openStoredLabels(store, name === 'none' ? undefined : name);
  if (name === 'none') return undefined;
  return plugins.resolveSupervisionSource(name).open({
    device,
    ...(weights !== undefined && { weights }),
    ...(settings !== undefined && { settings }),
  });
}

/** The losses in a few characters: `loss 3.21 (text 0.91 depth 0.44 …) 12.3 samples/s`. */
function describeStep({ losses, samplesPerSecond }: StepMetrics): string {
  const { total, ...terms } = losses;
  const parts = Object.entries(terms).flatMap(([term, value]) =>
    value === null ? [] : [`${term} ${value.toFixed(3)}`],
  );
  return `loss ${total?.toFixed(3)} (${parts.join(' ')}) ${samplesPerSecond.toFixed(1)} samples/s`;
}

function finish(
  progress: ProgressReporter,
  { complete }: { readonly complete: boolean },
  last: StepMetrics | undefined,
): void {
  const state = complete ? 'Trained' : 'Stopped';
  progress.done(
    last === undefined ? `${state}` : `${state}: step ${last.step}, ${describeStep(last)}`,
  );
}
