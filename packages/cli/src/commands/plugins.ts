import type { PluginSet } from '@spatialsv/core';
import type { Command } from 'commander';
import { composePlugins } from '../composition.js';
import { type CommandContext, formatTable } from '../context.js';
import { describeCommand } from '../options.js';

export function registerPlugins(program: Command, context: CommandContext): void {
  describeCommand(
    program.command('plugins'),
    'List the backbones, 3D heads, label sources and benchmarks that are found, and what was rejected.',
    ['plugins', 'plugins --json'],
  )
    .option('--json', 'print JSON', false)
    .action(async ({ json }: { json: boolean }) => {
      const { plugins } = await composePlugins(context.folder);
      const report = pluginReport(plugins);
      context.out(json ? `${JSON.stringify(report, null, 2)}\n` : formatPlugins(report));
    });
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
