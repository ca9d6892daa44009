import type { Command } from 'commander';
import type { AskOptions } from '../commands/ask.js';
import type { CommandContext } from '../context.js';
import {
  addGenerationOptions,
  addModelOptions,
  addWeightPolicy,
  describeCommand,
  wholeNumber,
} from './options.js';

/** Tokens of an answer at most where neither the command nor the checkpoint says. */
const ANSWER_LENGTH = 128;

export function registerAsk(program: Command, context: CommandContext): void {
  const command = describeCommand(
    program.command('ask'),
    'Ask a model about images. The answer is greedy, unless --sample is given, and printed as it comes.',
    [
      'ask --model ./model --images a.jpg b.jpg --question "What is left of the table?"',
      'ask --model ./model --images a.jpg --question "Describe the room." --sample --seed 7 --temperature 0.7',
    ],
  );
  addGenerationOptions(
    addWeightPolicy(addModelOptions(command)),
    `the checkpoint’s, else ${ANSWER_LENGTH}`,
  )
    .requiredOption('--question <text>', 'what is asked about the images')
    .option('--system <text>', 'system prompt instead of the family’s own')
    .option('--seed <n>', 'seed of --sample: equal seeds give equal answers', wholeNumber(0), 0)
    .option('--json', 'print one JSON object when the answer is complete', false)
    .action(async (options: Omit<AskOptions, 'usualLength'>) => {
      const { ask } = await import('../commands/ask.js');
      await ask({ ...options, usualLength: ANSWER_LENGTH }, context);
    });
}
