import type { Command } from 'commander';
import type { EvalOptions } from '../commands/eval.js';
import type { CommandContext } from '../context.js';
import {
  addGenerationOptions,
  addViewOptions,
  addWeightPolicy,
  describeCommand,
  wholeNumber,
} from './options.js';

/** Tokens of an answer at most where neither the command nor the checkpoint says. */
const ANSWER_LENGTH = 512;

export function registerEval(program: Command, context: CommandContext): void {
  const command = describeCommand(
    program.command('eval'),
    `Measure a model on a benchmark: accuracy by category beside chance lines, with intervals and p-values.
Answers are kept in predictions.jsonl as they come; the same command goes on where it was stopped. Answers of other weights,
prompts, settings or questions are refused.`,
    ['eval --model ./model --benchmark mindcube --data ./MindCube/data --out runs/mindcube'],
  );
  addGenerationOptions(addViewOptions(addWeightPolicy(command)), ANSWER_LENGTH)
    .requiredOption('--model <folder>', 'checkpoint folder in the Hugging Face layout')
    .requiredOption('--benchmark <id>', 'see `spatialsv plugins`')
    .requiredOption('--data <folder>', 'folder (or question file) of the benchmark')
    .requiredOption(
      '--out <folder>',
      'run folder: predictions.jsonl, evaluation.json, results.json',
    )
    .option('--overwrite', 'forget the answers of another evaluation in --out', false)
    .option('--device <name>', 'cpu, webgpu, cuda or tensorflow', 'cpu')
    .option(
      '--seed <n>',
      'seed of the random chance line, the permutation test, and of --sample',
      wholeNumber(0),
      0,
    )
    .option('--limit <n>', 'only the first n questions', wholeNumber(1))
    .option('--json', 'print the results as JSON', false)
    .action(async (options: Omit<EvalOptions, 'usualLength'>) => {
      const { runEvaluation } = await import('../commands/eval.js');
      await runEvaluation({ ...options, usualLength: ANSWER_LENGTH }, context);
    });
}
