import { resolve } from 'node:path';
import { LOCK_FILE, listIfThere, lockFolder, SpatialError, withCleanup } from '@spatialsv/core';
import { composePlugins } from '../composition.js';
import type { CommandContext } from '../context.js';
import { formatResults } from '../demo/results.js';
import { DEMO, DEMO_FAMILY, DEMO_SOURCE } from '../demo/settings.js';

export interface DemoOptions {
  readonly out: string;
  readonly json: boolean;
}

export async function demo({ out, json }: DemoOptions, context: CommandContext): Promise<void> {
  const folder = resolve(context.folder, out);
  await requireOwnFolder(folder);
  const plugins = await composePlugins(context.folder);
  plugins.resolveBackboneAdapter(DEMO_FAMILY);
  plugins.resolveLabelSource(DEMO_SOURCE);
  // What renders the rooms is a plugin, which is there now.
  const { runDemo } = await import('../demo/run-demo.js');
  const lock = await lockFolder(folder, 'demo');
  const results = await withCleanup(
    () => runDemo(DEMO, folder, context, plugins),
    () => lock.release(),
  );
  context.out(json ? `${JSON.stringify(results)}\n` : formatResults(results));
}

/** Parts that a demo writes, also one that was interrupted. */
const PARTS = new Set([LOCK_FILE, 'rooms', 'model', 'run', 'report', 'results.json']);

async function requireOwnFolder(folder: string): Promise<void> {
  const names = await listIfThere(folder);
  const foreign = names.filter((name) => !PARTS.has(name));
  if (foreign.length === 0) return;
  throw new SpatialError({
    code: 'USAGE',
    message: `--out ${folder}: expected a new folder or an earlier demo, found ${foreign.slice(0, 3).join(', ')}`,
    hint: 'Choose another folder with --out.',
  });
}
