import type { Command } from 'commander';
import type { SweepOptions } from '../commands/sweep.js';
import type { CommandContext } from '../context.js';
import { describeCommand } from './options.js';

export function registerSweep(program: Command, context: CommandContext): void {
  describeCommand(
    program.command('sweep'),
    `Train a list of arms, each with every seed, and print a table of what their held-out samples say.
Runs that are complete are not repeated: the same command goes on where it was stopped.`,
    ['sweep table3.yaml', 'sweep table3.yaml --json'],
  )
    .argument('<file>', 'YAML file with base, arms, seeds and out; docs/training.md describes it')
    .option('--json', 'print the table as JSON', false)
    .action(async (file: string, options: SweepOptions) => {
      const { runSweep } = await import('../commands/sweep.js');
      await runSweep(file, options, context);
    });
}
