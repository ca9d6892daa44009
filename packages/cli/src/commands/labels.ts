import { LabelStore, SpatialError, withCleanup } from '@spatialsv/core';
import type { LabelFormat } from '@spatialsv/inspect';
import type { CommandContext } from '../context.js';
import { counted } from '../counted.js';
import { formatBytes } from '../format-bytes.js';
import { type ExportedSet, exportStore, labelFormats } from '../labels/export-store.js';
import { countSets } from '../labels/label-report.js';
import { describeSet, storeTable, viewDetails } from '../labels/show-store.js';
import { selectKeys, shortKey } from '../labels/store-keys.js';
import { type StoreProblem, verifyStore } from '../labels/verify-store.js';

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

export interface ShowOptions {
  readonly limit: number;
  readonly json: boolean;
}

export const showStore = (
  folder: string,
  prefix: string | undefined,
  options: ShowOptions,
  context: CommandContext,
): Promise<void> => withStore(folder, (store) => show(store, prefix, options, context));

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
  const total = `${countSets(summaries.length)}, ${counted(views, 'view')}, ${formatBytes(bytes)}\n`;
  return `${storeTable(summaries.slice(0, limit))}${more}${total}`;
}

function showOne(store: LabelStore, key: string, json: boolean): string {
  const summary = store.summary(key)!;
  const views = viewDetails(store.read(key)!);
  return json ? `${JSON.stringify({ ...summary, detail: views })}\n` : describeSet(summary, views);
}

// ---------------------------------------------------------------------------------------------- verify

export interface VerifyOptions {
  readonly images: boolean;
  readonly remove: boolean;
  readonly json: boolean;
}

export const verifyLabels = (
  folder: string,
  options: VerifyOptions,
  context: CommandContext,
): Promise<void> => withStore(folder, (store) => verify(store, options, context), !options.remove);

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
      ? 'Label their images again'
      : 'Repeat with --remove, then label their images again';
  return new SpatialError({
    code: 'DATA_INVALID',
    message: `${store.folder}: something is wrong with ${countSets(wrong)}${removed > 0 ? `, ${removed} were removed` : ''}`,
    hint: isDamaged
      ? `${repair}.`
      : 'Labels belong to the images as they were: label changed ones again, put missing ones back to export colours.',
  });
}

// ---------------------------------------------------------------------------------------------- export

export interface ExportOptions {
  readonly out: string;
  readonly keys?: readonly string[];
  readonly limit?: number;
  /** Names of formats. */
  readonly to?: readonly string[];
  readonly json: boolean;
}

export async function exportFromStore(
  folder: string,
  options: ExportOptions,
  context: CommandContext,
): Promise<void> {
  const formats = labelFormats(options.to ?? ['png']);
  await withStore(folder, (store) => exportSets(store, formats, options, context));
}

async function exportSets(
  store: LabelStore,
  formats: readonly LabelFormat[],
  { out, keys, limit, json }: ExportOptions,
  context: CommandContext,
): Promise<void> {
  const chosen = selectKeys(store, keys).slice(0, limit);
  const sets = await exportStore(store, chosen, { out, formats }, context);
  if (json) context.out(`${JSON.stringify({ store: store.folder, out, sets })}\n`);
  else describeExport(sets, context);
}

function describeExport(sets: readonly ExportedSet[], context: CommandContext): void {
  for (const { folder, notes } of sets) {
    context.out(`${folder}\n`);
    for (const note of notes) context.err(`  ${note}\n`);
  }
}
