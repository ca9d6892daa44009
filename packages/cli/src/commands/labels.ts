import { LabelStore, SpatialError, withCleanup } from '@spatialsv/core';
import type { LabelFormat } from '@spatialsv/inspect';
import type { Command } from 'commander';
import type { CommandContext } from '../context.js';
import { addFormats, type ExportedSet, exportStore } from '../labels/export-store.js';
import { countSets } from '../labels/label-report.js';
import { describeSet, formatBytes, storeTable, viewDetails } from '../labels/show-store.js';
import { selectKeys, shortKey } from '../labels/store-keys.js';
import { type StoreProblem, verifyStore } from '../labels/verify-store.js';
import { describeCommand, wholeNumber } from '../options.js';

export function registerLabels(program: Command, context: CommandContext): void {
  const labels = describeCommand(
    program.command('labels'),
    'Look at a label store, check it, and export from it.',
    [
      'labels show labels',
      'labels verify labels --images',
      'labels export labels --to ply --out out',
    ],
  );
  registerShow(labels, context);
  registerVerify(labels, context);
  registerExport(labels, context);
}

/** Opens a store for reading only while `use` runs. */
async function withStore<Result>(
  folder: string,
  use: (store: LabelStore) => Promise<Result> | Result,
  readOnly = true,
): Promise<Result> {
  const store = await LabelStore.open(folder, { readOnly });
  return withCleanup(
    async () => use(store),
    () => store.close(),
  );
}

// ---------------------------------------------------------------------------------------------- show

interface ShowOptions {
  readonly limit: number;
  readonly json: boolean;
}

function registerShow(labels: Command, context: CommandContext): void {
  describeCommand(
    labels.command('show'),
    'List the view sets of a store, or tell everything about one.',
    ['labels show labels', 'labels show labels 3f2a91'],
  )
    .argument('<store>', 'folder of the label store')
    .argument('[prefix]', 'how keys begin; one view set is told in detail')
    .option('--limit <n>', 'lines of the list', wholeNumber(1), 50)
    .option('--json', 'print as JSON, the list in full', false)
    .action((folder: string, prefix: string | undefined, options: ShowOptions) =>
      withStore(folder, (store) => show(store, prefix, options, context)),
    );
}

function show(
  store: LabelStore,
  prefix: string | undefined,
  { limit, json }: ShowOptions,
  { out }: CommandContext,
): void {
  const keys = selectKeys(store, prefix === undefined ? [] : [prefix]);
  if (prefix !== undefined && keys.length === 1) out(showOne(store, keys[0]!, json));
  else out(showAll(store, keys, limit, json));
}

function showAll(store: LabelStore, keys: readonly string[], limit: number, json: boolean): string {
  const summaries = keys.flatMap((key) => store.summary(key) ?? []);
  if (json) return `${JSON.stringify({ store: store.folder, sets: summaries })}\n`;
  const views = summaries.reduce((sum, summary) => sum + summary.views, 0);
  const bytes = summaries.reduce((sum, summary) => sum + summary.bytes, 0);
  const more = summaries.length > limit ? `… and ${summaries.length - limit} more\n` : '';
  const total = `${countSets(summaries.length)}, ${views} views, ${formatBytes(bytes)}\n`;
  return `${storeTable(summaries.slice(0, limit))}${more}${total}`;
}

function showOne(store: LabelStore, key: string, json: boolean): string {
  const summary = store.summary(key)!;
  const views = viewDetails(store.read(key)!);
  return json ? `${JSON.stringify({ ...summary, detail: views })}\n` : describeSet(summary, views);
}

// ---------------------------------------------------------------------------------------------- verify

interface VerifyOptions {
  readonly images: boolean;
  readonly remove: boolean;
  readonly json: boolean;
}

function registerVerify(labels: Command, context: CommandContext): void {
  describeCommand(
    labels.command('verify'),
    'Check every view set: arrays, checksum, cameras, points. Exit code 1 when something is wrong.',
    ['labels verify labels', 'labels verify labels --images'],
  )
    .argument('<store>', 'folder of the label store')
    .option('--images', 'also whether the pictures are still the ones that were labelled', false)
    .option('--remove', 'remove damaged view sets, so that `label` makes them again', false)
    .option('--json', 'print the result as JSON', false)
    .action((folder: string, options: VerifyOptions) =>
      withStore(folder, (store) => verify(store, options, context), !options.remove),
    );
}

async function verify(
  store: LabelStore,
  { images, remove, json }: VerifyOptions,
  context: CommandContext,
): Promise<void> {
  const sets = store.count;
  const problems = await verifyStore(store, images, context);
  const damaged = problems.filter((problem) => problem.damaged);
  if (remove) for (const { key } of damaged) await store.remove(key);
  const removed = remove ? damaged.length : 0;
  if (json) context.out(`${JSON.stringify({ store: store.folder, sets, problems, removed })}\n`);
  else context.out(describeProblems(problems, sets));
  if (problems.length > 0) throw faulty(store, problems, removed);
}

function describeProblems(problems: readonly StoreProblem[], sets: number): string {
  if (problems.length === 0) return `${countSets(sets)}, nothing wrong\n`;
  return problems.map(({ key, reason }) => `${shortKey(key)}  ${reason}\n`).join('');
}

function faulty(
  store: LabelStore,
  problems: readonly StoreProblem[],
  removed: number,
): SpatialError {
  const wrong = new Set(problems.map(({ key }) => key)).size;
  const isDamaged = problems.some(({ damaged }) => damaged);
  const repair =
    removed > 0
      ? 'Label their pictures again'
      : 'Repeat with --remove, then label their pictures again';
  return new SpatialError({
    code: 'DATA_INVALID',
    message: `${store.folder}: something is wrong with ${countSets(wrong)}${removed > 0 ? `, ${removed} were removed` : ''}`,
    hint: isDamaged
      ? `${repair}.`
      : 'Labels belong to the pictures as they were: label changed ones again, put missing ones back to export colours.',
  });
}

// ---------------------------------------------------------------------------------------------- export

interface ExportOptions {
  readonly out: string;
  readonly keys?: readonly string[];
  readonly limit?: number;
  readonly to?: readonly LabelFormat[];
  readonly json: boolean;
}

function registerExport(labels: Command, context: CommandContext): void {
  describeCommand(
    labels.command('export'),
    'Write view sets as files, each into a folder named after its key, with a labels.json that says what they mean.',
    [
      'labels export labels --out out',
      'labels export labels --out out --keys 3f2a91 --to ply,glb,colmap',
    ],
  )
    .argument('<store>', 'folder of the label store')
    .requiredOption('--out <folder>', 'folder to write into')
    .option(
      '--to <formats>',
      'png (default), ply, glb, safetensors, colmap; commas, or repeated',
      addFormats,
    )
    .option('--keys <prefixes...>', 'only view sets whose keys begin so')
    .option('--limit <n>', 'only the first n view sets', wholeNumber(1))
    .option('--json', 'print what was written as JSON', false)
    .action((folder: string, options: ExportOptions) =>
      withStore(folder, (store) => exportSets(store, options, context)),
    );
}

async function exportSets(
  store: LabelStore,
  { out, keys, limit, to = ['png'], json }: ExportOptions,
  context: CommandContext,
): Promise<void> {
  const chosen = selectKeys(store, keys).slice(0, limit);
  const sets = await exportStore(store, chosen, { out, formats: to }, context);
  if (json) context.out(`${JSON.stringify({ store: store.folder, out, sets })}\n`);
  else describeExport(sets, context);
}

function describeExport(sets: readonly ExportedSet[], context: CommandContext): void {
  for (const { folder, notes } of sets) {
    context.out(`${folder}\n`);
    for (const note of notes) context.err(`  ${note}\n`);
  }
}
