import type { Command } from 'commander';
import type { CheckOptions } from '../commands/check.js';
import type { CommandContext } from '../context.js';
import { describeCommand } from './options.js';

export function registerCheck(program: Command, context: CommandContext): void {
  describeCommand(
    program.command('check'),
    `Look at a model folder, a data file, a folder of images or a configuration without running it: what it is, what would be
passed over, and every problem at once. Ends with 1 when there is an error.`,
    ['check ./Qwen2.5-VL-3B', 'check train.jsonl', 'check photos/', 'check config.yaml --json'],
  )
    .argument('<paths...>', 'model folder, data file, folder of images, image, or configuration')
    .option('--format <id>', 'format of a data file; found out from the file where absent')
    .option('--image-root <folder>', 'folder that the image paths of a data file are relative to')
    .option('--model <folder>', 'model that will see the images: are they of a size that it takes?')
    .option('--pixels', 'decode every image, which finds those that are damaged', false)
    .option('--weights', 'read every weight, which finds values that are not finite', false)
    .option('--json', 'print the reports as JSON', false)
    .action(async (paths: string[], options: CheckOptions) => {
      const { check } = await import('../commands/check.js');
      await check(paths, options, context);
    });
}
