import {
  DATASET_FORMATS,
  type LabellerV1,
  type LabelRunResult,
  LabelStore,
  labelViewSets,
  SpatialError,
  type ViewSet,
  withCleanup,
} from '@spatialsv/core';
import { type Command, Option } from 'commander';
import { composePlugins } from '../composition.js';
import type { CommandContext } from '../context.js';
import {
  describeLicence,
  describeRun,
  endWithFailures,
  labelObserver,
  labelSummary,
} from '../labels/label-report.js';
import { addSetting, readSettings, type SourceSettings } from '../labels/source-settings.js';
import { collectViewSets, parseShard, type ViewSetOptions } from '../labels/view-set-options.js';
import { findSource } from '../model.js';
import { describeCommand, wholeNumber } from '../options.js';

interface LabelOptions extends ViewSetOptions {
  readonly source: string;
  readonly weights?: string;
  readonly out: string;
  readonly setting?: SourceSettings;
  readonly settings?: string;
  readonly height?: number;
  readonly width?: number;
  readonly onError: 'skip' | 'fail';
  readonly device: string;
  readonly force: boolean;
  readonly json: boolean;
}

export function registerLabel(program: Command, context: CommandContext): void {
  const command = describeCommand(
    program.command('label'),
    `Label pictures with a 3D vision model: depth, cameras and features of each view set go into a store.
The same command goes on where it was stopped or killed; several of them may fill one store together.`,
    [
      'label --source synthetic --data rooms/raw/MindCube_train.jsonl --format mindcube --out labels',
      'label --source vggt --weights ./VGGT-1B --images scene/ --out labels',
      'label --source dav3 --weights ./DA3-SMALL --data data.jsonl --out labels --shard 1/4',
    ],
  );
  addWhat(command);
  addHow(command).action((options: LabelOptions) => label(options, context));
}

function addWhat(command: Command): void {
  command
    .option('--images <paths...>', 'pictures, a folder of them, or patterns in quotes')
    .option(
      '--views <n>',
      'label --images in groups of n neighbours; all together where absent',
      wholeNumber(1),
    )
    .option('--data <file>', 'data set: each distinct list of pictures is a view set')
    .addOption(
      new Option('--format <name>', 'format of --data (default: jsonl)').choices(DATASET_FORMATS),
    )
    .option('--image-root <folder>', 'folder that the paths in --data are relative to')
    .option('--limit <n>', 'only the first n view sets', wholeNumber(1))
    .option('--shard <i/n>', 'only part i of n', parseShard);
}

function addHow(command: Command): Command {
  return command
    .requiredOption('--source <id>', 'label source, see `spatialsv plugins`')
    .requiredOption('--out <folder>', 'label store; made where there is none')
    .option('--weights <path>', 'weights of the source, where it has any')
    .option('--setting <key=value>', 'setting of the source; may be repeated', addSetting)
    .option('--settings <file>', 'settings of the source as YAML')
    .option(
      '--height <n>',
      'height of the labels, pixels; the source’s own where absent',
      wholeNumber(1),
    )
    .option('--width <n>', 'width of the labels, pixels', wholeNumber(1))
    .option('--device <name>', 'cpu, webgpu, cuda or tensorflow (see `spatialsv doctor`)', 'cpu')
    .addOption(
      new Option(
        '--on-error <what>',
        'a view set that cannot be labelled is skipped, or ends the run',
      )
        .choices(['skip', 'fail'])
        .default('skip'),
    )
    .option('--force', 'label again what is in the store', false)
    .option('--json', 'print one JSON object at the end', false);
}

async function label(options: LabelOptions, context: CommandContext): Promise<void> {
  checkSize(options);
  const sets = await collectViewSets(options);
  const labeller = await openLabeller(options, context);
  const work = async () => {
    const store = await LabelStore.open(options.out);
    const labelAll = async () => {
      const result = await run(sets, labeller, store, options, context);
      report(result, labeller, store, options, context);
    };
    await withCleanup(labelAll, () => store.close());
  };
  await withCleanup(work, () => labeller.dispose());
}

function checkSize({ height, width }: LabelOptions): void {
  if ((height === undefined) === (width === undefined)) return;
  throw new SpatialError({
    code: 'USAGE',
    message: `expected --height and --width together, found ${height === undefined ? '--width' : '--height'} alone`,
    hint: 'Give both, or neither for the size that the source chooses.',
  });
}

async function openLabeller(
  { source, weights, device, settings: file, setting }: LabelOptions,
  { folder, progress }: CommandContext,
): Promise<LabellerV1> {
  const settings = await readSettings(file, setting);
  const found = findSource(source, await composePlugins(folder));
  progress.start(`Opening ${source}`);
  const labeller = await found.open({
    device,
    settings,
    ...(weights !== undefined && { weights }),
  });
  const { model, licence } = labeller.provenance;
  progress.done(`${source} ${model}, licence ${describeLicence(licence)}`);
  return labeller;
}

function run(
  sets: readonly ViewSet[],
  labeller: LabellerV1,
  store: LabelStore,
  { height, width, onError, force, out }: LabelOptions,
  context: CommandContext,
): Promise<LabelRunResult> {
  return labelViewSets({
    sets,
    labeller,
    store,
    ...(height !== undefined && { height }),
    ...(width !== undefined && { width }),
    onError,
    force,
    signal: context.signal,
    observer: labelObserver(out, context),
  });
}

function report(
  result: LabelRunResult,
  labeller: LabellerV1,
  store: LabelStore,
  { out, json }: LabelOptions,
  context: CommandContext,
): void {
  context.progress.done(result.complete ? undefined : 'Stopped');
  const summary = labelSummary(out, store.count, labeller, result);
  context.out(json ? `${JSON.stringify(summary)}\n` : describeRun(out, store.count, result));
  if (!result.complete) {
    context.err('Stopped. Repeat the command to go on: finished view sets are kept.\n');
    context.signal.throwIfAborted();
  }
  endWithFailures(out, result, context);
}
