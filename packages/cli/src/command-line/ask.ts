import type { Command } from 'commander';
import type { AskOptions } from '../commands/ask.js';
import type { CommandContext } from '../context.js';
import { addModelOptions, addWeightPolicy, describeCommand, wholeNumber } from './options.js';

export function registerAsk(program: Command, context: CommandContext): void {
  const command = describeCommand(
    program.command('ask'),
    'Ask a model about images. The answer is greedy and printed as it comes.',
    ['ask --model ./model --images a.jpg b.jpg --question "What is left of the table?"'],
  );
  addWeightPolicy(addModelOptions(command))
    .requiredOption('--question <text>', 'what is asked about the images')
    .option('--system <text>', 'system prompt instead of the family’s own')
    .option('--max-new-tokens <n>', 'length of the answer at most', wholeNumber(1), 128)
    .option('--json', 'print one JSON object when the answer is complete', false)
    .action(async (options: AskOptions) => {
      const { ask } = await import('../commands/ask.js');
      await ask(options, context);
    });
}
