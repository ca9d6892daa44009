import { cp, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { mergeLowRank, readPeftAdapter, SPATIAL_FOLDER } from '@spatialsv/core';
import { composePlugins } from '../composition.js';
import type { CommandContext } from '../context.js';
import { openModel } from '../model.js';
import { requireEmpty } from '../output-folder.js';

export interface MergeOptions {
  readonly model: string;
  readonly adapter: string;
  readonly out: string;
  readonly force: boolean;
  readonly json: boolean;
}

/** @throws SpatialError USAGE for a folder that is not empty; as opening the checkpoint and reading the adapter do. */
export async function mergeAdapter(options: MergeOptions, context: CommandContext): Promise<void> {
  const { model, adapter: folder, out, force } = options;
  const { progress } = context;
  if (!force) await requireEmpty(out);
  progress.start('Reading');
  const plugins = await composePlugins(context.folder);
  const backbone = await openModel(model, plugins, {}, context.err);
  const adapter = await readPeftAdapter(folder, backbone.weights);
  const layers = Object.keys(adapter.scales).length;
  progress.start(`Merging ${layers} layers`);
  await backbone.save(out, await mergeLowRank(backbone, adapter));
  const heads = await copyHeads([folder, model], out);
  progress.done(`${out} written`);
  const replaced = Object.keys(adapter.replaced).length;
  const summary = { folder: out, layers, replaced, heads };
  if (options.json) context.out(`${JSON.stringify(summary)}\n`);
  else
    context.out(
      `${out}: ${layers} layers merged, ${replaced} tensors replaced${heads ? ', with 3D heads' : ''}\n`,
    );
}

/** Heads of the first of some folders that has any. @returns whether one has. */
async function copyHeads(folders: readonly string[], out: string): Promise<boolean> {
  for (const folder of folders) {
    const from = join(folder, SPATIAL_FOLDER);
    if ((await stat(from).catch(() => undefined))?.isDirectory() !== true) continue;
    await cp(from, join(out, SPATIAL_FOLDER), { recursive: true });
    return true;
  }
  return false;
}
