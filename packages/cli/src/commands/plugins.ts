import type { PluginRegistry } from '@spatialsv/core/host';
import { composePlugins } from '../composition.js';
import { type CommandContext, formatTable } from '../context.js';

export async function listPlugins(
  { json }: { json: boolean },
  context: CommandContext,
): Promise<void> {
  const report = pluginReport(await composePlugins(context.folder));
  context.out(json ? `${JSON.stringify(report, null, 2)}\n` : formatPlugins(report));
}

export interface PluginReport {
  readonly contributions: readonly { kind: string; id: string; plugin: string }[];
  readonly rejected: readonly { plugin: string; code: string; message: string; hint: string }[];
  /** Plugins of the project that are not installed, and the ids that they would give. */
  readonly notInstalled: readonly { plugin: string; gives: readonly string[] }[];
}

/** The plugins as plain data. */
export function pluginReport({ plugins, notInstalled }: PluginRegistry): PluginReport {
  const { loaded, rejected } = plugins;
  return {
    contributions: loaded.flatMap(({ name, contributions }) =>
      contributions.map(({ kind, id }) => ({ kind, id, plugin: name })),
    ),
    rejected: rejected.map(({ name, error }) => ({
      plugin: name,
      code: error.code,
      message: error.message,
      hint: error.hint,
    })),
    notInstalled: notInstalled.map(({ name, gives }) => ({ plugin: name, gives })),
  };
}

/** The plugins as a table for people. */
export function formatPlugins({ contributions, rejected, notInstalled }: PluginReport): string {
  const rows = contributions.map(({ kind, id, plugin }) => [kind, id, plugin]);
  const table = formatTable([['KIND', 'ID', 'PACKAGE'], ...rows]);
  const problems = rejected.map(
    ({ plugin, code, message, hint }) =>
      `\nrejected ${plugin}: error[${code}]: ${message}\nhint: ${hint}\n`,
  );
  const missing = notInstalled.map(({ plugin }) => `npm install ${plugin}\n`);
  const absent = missing.length > 0 ? `\nNot installed:\n${missing.join('')}` : '';
  return `${table}${problems.join('')}${absent}`;
}
