import type { Command } from 'commander';
import type { CommandContext } from '../context.js';
import { describeCommand } from './options.js';

export function registerDoctor(program: Command, context: CommandContext): void {
  describeCommand(
    program.command('doctor'),
    'Show what works on this machine: devices, versions, plugins, and how to get what is missing.',
    ['doctor', 'doctor --json'],
  )
    .option('--json', 'print JSON', false)
    .action(async (options: { json: boolean }) => {
      const { doctor } = await import('../commands/doctor.js');
      await doctor(options, context);
    });
}
