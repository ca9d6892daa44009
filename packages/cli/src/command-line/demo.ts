import type { Command } from 'commander';
import type { DemoOptions } from '../commands/demo.js';
import type { CommandContext } from '../context.js';
import { describeCommand } from './options.js';

export function registerDemo(program: Command, context: CommandContext): void {
  describeCommand(
    program.command('demo'),
    `Everything in miniature, without a download: render rooms, train a tiny model with all losses, ask it about rooms
that it never saw, and look at what it believes they look like. Minutes on two cores.`,
    ['demo', 'demo --out ./my-demo'],
  )
    .option(
      '--out <folder>',
      'folder to write; an earlier demo in it is replaced',
      'spatialsv-demo',
    )
    .option('--json', 'print the results as JSON', false)
    .action(async (options: DemoOptions) => {
      const { demo } = await import('../commands/demo.js');
      await demo(options, context);
    });
}
