import type { Command } from 'commander';
import type { MergeOptions } from '../commands/merge.js';
import type { CommandContext } from '../context.js';
import { describeCommand } from './options.js';

export function registerMerge(program: Command, context: CommandContext): void {
  describeCommand(
    program.command('merge'),
    `Add the low-rank updates of an adapter (PEFT's layout, as training with \`lora\` writes it) to the weights of its checkpoint.
Writes a whole checkpoint, in the layout and types of the one that the adapter belongs to, with the 3D heads of the adapter.`,
    ['merge --model ./Qwen2.5-VL-3B-Instruct --adapter ./run/checkpoints/step-500 --out ./merged'],
  )
    .requiredOption('--model <folder>', 'checkpoint that the adapter was trained on')
    .requiredOption('--adapter <folder>', 'folder with adapter_config.json and its weights')
    .requiredOption('--out <folder>', 'folder to write')
    .option('--force', 'write into a folder that is not empty', false)
    .option('--json', 'print what was written as JSON', false)
    .action(async (options: MergeOptions) => {
      const { mergeAdapter } = await import('../commands/merge.js');
      await mergeAdapter(options, context);
    });
}
