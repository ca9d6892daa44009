import type { PluginSet } from '@spatialsv/core/host';
import { composePlugins } from '../composition.js';
import { type CommandContext, formatTable } from '../context.js';

export async function listPlugins(
  { json }: { json: boolean },
  context: CommandContext,
): Promise<void> {
  const { plugins } = await composePlugins(context.folder);
  const report = pluginReport(plugins);
  context.out(json ? `${JSON.stringify(report, null, 2)}\n` : formatPlugins(report));
}

export interface PluginReport {
  readonly contributions: readonly { kind: string; id: string; plugin: string }[];
  readonly rejected: readonly { plugin: string; code: string; message: string; hint: string }[];
}

/** The plugins as plain data. */
export function pluginReport({ loaded, rejected }: PluginSet): PluginReport {
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
  };
}

/** The plugins as a table for people. */
export function formatPlugins({ contributions, rejected }: PluginReport): string {
  const rows = contributions.map(({ kind, id, plugin }) => [kind, id, plugin]);
  const table = formatTable([['KIND', 'ID', 'PACKAGE'], ...rows]);
  const problems = rejected.map(
    ({ plugin, code, message, hint }) =>
      `\nrejected ${plugin}: error[${code}]: ${message}\nhint: ${hint}\n`,
  );
  return `${table}${problems.join('')}`;
}
