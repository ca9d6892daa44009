import type { Command } from 'commander';
import type { CheckOptions } from '../commands/check.js';
import type { CommandContext } from '../context.js';
import { describeCommand } from './options.js';

export function registerCheck(program: Command, context: CommandContext): void {
  describeCommand(
    program.command('check'),
    `Look at a model folder, a data file, images, a configuration, a package of a plugin, the run of an evaluation, or a folder
of such things without running them: what each is, what would be passed over, and every problem at once. Ends with 1 when
there is an error.`,
    [
      'check ./Qwen2.5-VL-3B',
      'check train.jsonl',
      'check photos/',
      'check config.yaml --json',
      'check .',
    ],
  )
    .argument('<paths...>', 'what to look at')
    .option('--format <id>', 'format of a data file; found out from the file where absent')
    .option('--image-root <folder>', 'folder that the image paths of a data file are relative to')
    .option('--benchmark <id>', 'whose questions the file or folder holds, as `eval` reads them')
    .option('--variant <name>', 'of the benchmark')
    .option(
      '--model <folder>',
      'model that will see the images, or has answered: does it take their sizes, are these its answers?',
    )
    .option('--pixels', 'decode every image, which finds those that are damaged', false)
    .option('--weights', 'read every weight, which finds values that are not finite', false)
    .option('--no-plan', 'do not measure the time and memory that a configuration will take')
    .option('--json', 'print the reports as JSON', false)
    .action(async (paths: string[], options: CheckOptions) => {
      const { check } = await import('../commands/check.js');
      await check(paths, options, context);
    });
}
