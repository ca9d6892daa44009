import type { Command } from 'commander';
import type { CommandContext } from '../context.js';
import { describeCommand } from './options.js';

export function registerPlugins(program: Command, context: CommandContext): void {
  describeCommand(
    program.command('plugins'),
    'List the backbones, 3D heads, label sources, data set formats and benchmarks that are found, and what was rejected.',
    ['plugins', 'plugins --json'],
  )
    .option('--json', 'print JSON', false)
    .action(async (options: { json: boolean }) => {
      const { listPlugins } = await import('../commands/plugins.js');
      await listPlugins(options, context);
    });
}
