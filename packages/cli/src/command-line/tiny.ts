import type { Command } from 'commander';
import type { TinyOptions } from '../commands/tiny.js';
import type { CommandContext } from '../context.js';
import { addSetting, describeCommand, wholeNumber } from './options.js';

export function registerTiny(program: Command, context: CommandContext): void {
  describeCommand(
    program.command('tiny'),
    'Write a small random checkpoint with the real architecture of a backbone family or label source.',
    [
      'tiny --family qwen2.5-vl --out ./tiny',
      'tiny --family qwen2.5-vl --out ./tiny --heads --layers 8 --hidden-size 256',
      'tiny --family vggt --out ./tiny-vggt',
    ],
  )
    .requiredOption(
      '--family <id>',
      'qwen2.5-vl, internvl3, llava-next-video, llava-next-video-siglip, llava-onevision, llava-onevision-1.5, a family of a plugin, or a label source, for example vggt',
    )
    .requiredOption('--out <folder>', 'folder to write')
    .option('--seed <n>', 'seed of the weights', wholeNumber(0), 0)
    .option('--hidden-size <n>', 'width of the decoder', wholeNumber(8))
    .option('--layers <n>', 'decoder layers', wholeNumber(1))
    .option('--attention-heads <n>', 'attention heads of the decoder', wholeNumber(1))
    .option(
      '--heads',
      'add random 3D heads in spatialsv/, so that `lift` runs (its images mean nothing)',
      false,
    )
    .option(
      '--tokenizer <folder>',
      'folder with the files of a real tokenizer, instead of a small one',
    )
    .option(
      '--set <key=value>',
      'a setting of the family’s small checkpoints, repeated; its README lists them',
      addSetting,
    )
    .option('--force', 'write into a folder that is not empty', false)
    .option('--json', 'print what was written as JSON', false)
    .action(async (options: TinyOptions) => {
      const { writeTiny } = await import('../commands/tiny.js');
      await writeTiny(options, context);
    });
}
