import {
  type LabellerV1,
  type LabelRunResult,
  LabelStore,
  labelViewSets,
  type PluginRegistry,
  SpatialError,
  type ViewSet,
  withCleanup,
} from '@spatialsv/core';
import type { TargetOptions } from '../command-line/options.js';
import { composePlugins } from '../composition.js';
import type { CommandContext } from '../context.js';
import {
  describeLicence,
  describeRun,
  endWithFailures,
  labelObserver,
  labelSummary,
} from '../labels/label-report.js';
import { openSourceWith } from '../labels/open-source.js';
import { collectViewSets, type ViewSetOptions } from '../labels/view-set-options.js';
import { findSource } from '../model.js';
import { readSettings } from '../settings.js';
import { targetOf } from '../target.js';

export interface LabelOptions extends ViewSetOptions, TargetOptions {
  readonly source: string;
  readonly weights?: string;
  readonly out: string;
  /** YAML texts by key. */
  readonly setting?: Readonly<Record<string, string>>;
  readonly settings?: string;
  readonly height?: number;
  readonly width?: number;
  readonly onError: 'skip' | 'fail';
  readonly devices?: readonly string[];
  readonly force: boolean;
  readonly json: boolean;
}

export async function label(options: LabelOptions, context: CommandContext): Promise<void> {
  checkSize(options);
  const plugins = await composePlugins(context.folder);
  const sets = await collectViewSets(options, plugins, context.err);
  const labeller = await openLabeller(options, plugins, context);
  const work = async () => {
    requirePrecision(options, labeller);
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

/** A source may pass over a precision that it has no use for; who asked for it would not know. */
function requirePrecision({ precision }: LabelOptions, { sourceId, provenance }: LabellerV1): void {
  const taken = provenance.settings['precision'] ?? 'float32';
  if (precision === undefined || precision === taken) return;
  throw new SpatialError({
    code: 'USAGE',
    message: `--precision ${precision}: the label source '${sourceId}' computes in ${taken}`,
    hint: 'Leave the option out, or take another source.',
  });
}

async function openLabeller(
  options: LabelOptions,
  plugins: PluginRegistry,
  { progress }: CommandContext,
): Promise<LabellerV1> {
  const { source, weights, settings: file, setting } = options;
  const settings = await readSettings(file, setting);
  const found = findSource(source, plugins);
  progress.start(`Opening ${source}`);
  const labeller = await openSourceWith(found, {
    ...targetOf(options),
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
