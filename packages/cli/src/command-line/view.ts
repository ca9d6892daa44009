import type { Command } from 'commander';
import type { ViewOptions } from '../commands/view.js';
import type { CommandContext } from '../context.js';
import { describeCommand, wholeNumber } from './options.js';

export function registerView(program: Command, context: CommandContext): void {
  describeCommand(
    program
      .command('view')
      .argument('<runs...>', 'run folder of `eval` or `train`; two evaluations beside each other'),
    `Look at a run: question by question the views, what the models see of them in 3D, and what they answer; or the losses and the
watched views of a run that trains. Serves the report to this machine alone; with --out it is a page that opens from a disk.`,
    [
      'view runs/mindcube',
      'view runs/base runs/spatialsv --out report.html',
      'view runs/mindcube --out report',
      'view runs/first',
    ],
  )
    .option(
      '--out <path>',
      'write instead: FILE.html is one file, of at most 56 MB, for which detail is left out; a folder leaves nothing out',
    )
    .option('--port <n>', 'port of the loopback device; a free one by default', wholeNumber(1))
    .option('--json', 'print where it is as JSON', false)
    .action(async (runs: string[], options: ViewOptions) => {
      const { view } = await import('../commands/view.js');
      await view(runs, options, context);
    });
}
