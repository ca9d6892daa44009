import { type Command, Option } from 'commander';
import type { TrainCommandOptions } from '../commands/train.js';
import type { CommandContext } from '../context.js';
import { addNames, describeCommand, precisionOption } from './options.js';

export function registerTrain(program: Command, context: CommandContext): void {
  describeCommand(
    program.command('train'),
    `Train a model as a YAML file says: text, distillation and 3D losses over a frozen vision encoder.
Writes metrics.jsonl, manifest.json and checkpoints in the Hugging Face layout. Ctrl-C finishes the step and saves.`,
    ['train config.yaml', 'train config.yaml --resume', 'train config.yaml --plan'],
  )
    .argument('<config>', 'YAML file; docs/training.md lists its keys')
    .option('--resume', 'go on from the newest checkpoint of the run folder', false)
    .option(
      '--accept-changes <kinds>',
      'resume although these have changed: settings, weights, data, labels, versions, machine',
      addNames,
    )
    .option(
      '--plan',
      'predict peak memory and time per step from a short measurement, and train nothing',
      false,
    )
    .addOption(
      new Option('--measure <layers-recompute>', 'one measurement of --plan, as JSON').hideHelp(),
    )
    .option('--device <name>', 'instead of the device that the configuration names')
    .addOption(precisionOption())
    .option('--json', 'print one JSON object at the end', false)
    .action(async (file: string, options: TrainCommandOptions) => {
      if (options.plan || options.measure !== undefined) {
        const { runPlan } = await import('../commands/train-plan.js');
        await runPlan(file, options, context);
        return;
      }
      const { runTraining } = await import('../commands/train.js');
      await runTraining(file, options, context);
    });
}
