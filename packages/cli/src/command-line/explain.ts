import { type Command, Option } from 'commander';
import type { ExplainCommandOptions } from '../commands/explain.js';
import type { CommandContext } from '../context.js';
import { describeCommand, wholeNumber } from './options.js';

/** Names of the measures. Those of inspect are the same; it is not loaded to print a help text. */
const MEASURES = [
  'depth-rmse',
  'depth-rmse-median',
  'depth-rmse-affine',
  'depth-abs-rel',
  'depth-delta1',
  'rotation',
  'chamfer',
  'f-score',
  'agreement',
] as const;

export function registerExplain(program: Command, context: CommandContext): void {
  const command = describeCommand(
    program
      .command('explain')
      .argument('<runs...>', 'run folders of one benchmark, one of each model, with lifts'),
    `Set what models see in 3D beside what they answer: correlation over models, accuracy by quality of the lift, best and
worst cases. The runs need lifts: \`spatialsv eval … --lift --labels STORE\`.`,
    [
      'explain runs/base runs/text runs/spatialsv --out explained',
      'explain runs/spatialsv --out explained --quality f-score --bins 5 --cases 6',
    ],
  );
  command
    .requiredOption('--out <folder>', 'folder to write: summary.md, results.json, figures, cases')
    .addOption(
      new Option('--quality <measure>', 'how good a lift is')
        .choices(MEASURES)
        .default('depth-rmse'),
    )
    .option('--bins <n>', 'bins of quality', wholeNumber(2), 4)
    .option('--cases <n>', 'best and worst cases of each model, and contrasts', wholeNumber(0), 3)
    .option('--seed <n>', 'of the bootstrap', wholeNumber(0), 0)
    .option('--json', 'print the results as JSON', false)
    .action(async (runs: string[], options: ExplainCommandOptions) => {
      const { explain } = await import('../commands/explain.js');
      await explain(runs, options, context);
    });
}
