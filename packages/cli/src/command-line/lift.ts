import type { Command } from 'commander';
import type { LiftOptions } from '../commands/lift.js';
import type { CommandContext } from '../context.js';
import { addModelOptions, describeCommand, wholeNumber } from './options.js';

export function registerLift(program: Command, context: CommandContext): void {
  const command = describeCommand(
    program.command('lift'),
    'Draw what a model sees: depth, point cloud (PLY, GLB), cameras (JSON, COLMAP), and a page that shows them.',
    [
      'lift --model ./runs/first/checkpoints/step-600 --images a.jpg b.jpg --out ./lifted',
      'lift --model ./tiny --images a.jpg b.jpg --question "What is nearest?" --out ./lifted',
      'lift --model ./tiny --images a.jpg b.jpg --labels ./labels --out ./lifted',
    ],
  );
  command.addHelpText(
    'after',
    '\nThe checkpoint needs 3D heads in spatialsv/, as `train` writes them; `tiny --heads` adds random ones to try this.',
  );
  addModelOptions(command)
    .requiredOption('--out <folder>', 'folder to write')
    .option('--question <text>', 'also ask this, and show the answer on the page')
    .option('--max-new-tokens <n>', 'length of the answer at most', wholeNumber(1), 128)
    .option(
      '--labels <store>',
      'also show the labels of this store, and how far the heads are from them',
    )
    .option(
      '--source <id>',
      'the same with labels that this source makes, or whose labels of the store',
    )
    .option('--weights <path>', 'weights of that source, where it needs any')
    .option('--json', 'print what was written as JSON', false)
    .action(async (options: LiftOptions) => {
      const { lift } = await import('../commands/lift.js');
      await lift(options, context);
    });
}
