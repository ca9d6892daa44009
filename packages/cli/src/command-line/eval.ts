import { SpatialError } from '@spatialsv/core/spec';
import { type Command, Option } from 'commander';
import type { EvalOptions } from '../commands/eval-options.js';
import type { ComparisonFormat, MergeOptions } from '../commands/eval-runs.js';
import type { CommandContext } from '../context.js';
import {
  addDevice,
  addDevices,
  addGenerationOptions,
  addSetting,
  addViewOptions,
  addWeightPolicy,
  describeCommand,
  givenArguments,
  parseShard,
  wholeNumber,
} from './options.js';

export function registerEval(program: Command, context: CommandContext): void {
  const command = program.command('eval');
  registerRun(command, context);
  registerVerify(command, context);
  registerMerge(command, context);
  registerCompare(program, context);
}

const seedOption = (what: string) => ['--seed <n>', what, wholeNumber(0), 0] as const;

function registerRun(command: Command, context: CommandContext): void {
  describeCommand(
    command,
    `Measure a model on a benchmark: its figures by column beside chance lines, with intervals and p-values; or every model of a
suite on every benchmark, with tables of them.
Answers are kept in predictions.jsonl as they come; the same command goes on where it was stopped. Answers of other weights,
prompts, settings or questions are refused.`,
    [
      'eval --model ./model --benchmark mindcube --data ./MindCube/data --out runs/mindcube',
      'eval --model ./model --benchmark vsi-bench --data ./VSI-Bench --frames 16 --shard 1/4 --out runs/vsi-1',
      'eval --model ./model --benchmark mindcube --data ./MindCube/data --out runs/mindcube --lift --labels labels',
      'eval suite.yaml --format md',
      'eval verify runs/mindcube',
      'eval merge runs/vsi-1 runs/vsi-2 runs/vsi-3 runs/vsi-4 --out runs/vsi',
    ],
  );
  addDevices(addDevice(command));
  addGenerationOptions(addViewOptions(addWeightPolicy(command)), 'the benchmark’s own')
    .option('--model <folder>', 'checkpoint folder in the Hugging Face layout (required)')
    .option('--benchmark <id>', 'see `spatialsv plugins` (required)')
    .option('--data <folder>', 'folder (or question file) of the benchmark (required)')
    .option(
      '--out <folder>',
      'run folder: predictions.jsonl, evaluation.json, results.json (required)',
    )
    .option(
      '--variant <name>',
      'protocol, where the benchmark has several; its first one by default',
    )
    .option(
      '--frames <n>',
      'frames of a video; the benchmark’s own number by default',
      wholeNumber(1),
    )
    .option('--image-root <folder>', 'folder of the images, for `--benchmark jsonl`')
    .option(
      '--field <name=key,…>',
      'what the files call a field, repeated, for `--benchmark topviewrs` with its JSON files',
      addFields,
    )
    .option(
      '--lift',
      'also keep what the 3D heads see of every view set, in lifts/ of the run folder, for `view` and `explain`',
      false,
    )
    .option('--labels <store>', 'with --lift: labels to put beside it, of a store')
    .option(
      '--source <id>',
      'with --lift: a label source that makes them, or whose labels of the store',
    )
    .option('--weights <path>', 'weights of that source, where it needs any')
    .option('--overwrite', 'forget the answers of another evaluation in --out', false)
    .option(...seedOption('seed of the random chance lines, the permutation test, and of --sample'))
    .option('--limit <n>', 'only the first n questions', wholeNumber(1))
    .option(
      '--batch <n>',
      'answers that are decoded together; they are those of each alone',
      wholeNumber(1),
      8,
    )
    .option(
      '--shard <i/n>',
      'every n-th question from the i-th on, for several processes',
      parseShard,
    )
    .option('--json', 'print the results as JSON', false)
    .addOption(formatOption('how the tables of a suite are printed'))
    .argument(
      '[suite]',
      'file of models and benchmarks, in the place of --model, --benchmark, --data and --out',
    )
    .action(async (suite: string | undefined, { format, ...options }: RunOptions) => {
      if (suite !== undefined) {
        refuseOptions(command);
        const { runSuite } = await import('../commands/suite.js');
        await runSuite(suite, { format: options.json ? 'json' : format }, context);
        return;
      }
      requireOptions(options);
      if (options.devices !== undefined) {
        const { evaluateOnDevices } = await import('../commands/eval-devices.js');
        const given = { ...options, devices: options.devices };
        return evaluateOnDevices(given, givenArguments(command), context);
      }
      const { runEvaluation } = await import('../commands/eval.js');
      return runEvaluation(options, context);
    });
}

/** `question=q,answer=a`: names of fields by their own names. */
const addFields = (
  text: string,
  before: Readonly<Record<string, string>> = {},
): Readonly<Record<string, string>> =>
  text.split(',').reduce((fields, part) => addSetting(part, fields), before);

type RunOptions = EvalOptions & { readonly format: ComparisonFormat };

const formatOption = (what: string): Option =>
  new Option('--format <name>', what).choices(['text', 'md', 'csv', 'json']).default('text');

/** What counts for one evaluation is written in the suite. @throws SpatialError USAGE. */
function refuseOptions(command: Command): void {
  const allowed = ['json', 'format', 'verbose'];
  const given = command.options
    .filter((option) => command.getOptionValueSource(option.attributeName()) === 'cli')
    .filter((option) => !allowed.includes(option.attributeName()));
  if (given.length === 0) return;
  throw new SpatialError({
    code: 'USAGE',
    message: `eval with a suite: expected no ${given.map(({ long }) => long).join(', ')}`,
    hint: 'Write it into the suite: docs/evaluation.md, Suites.',
  });
}

/** The subcommands have none of these options, so the parser cannot ask for them. */
function requireOptions(options: Partial<EvalOptions>): void {
  const missing = (['model', 'benchmark', 'data', 'out'] as const).filter(
    (name) => options[name] === undefined,
  );
  if (missing.length === 0) return;
  throw new SpatialError({
    code: 'USAGE',
    message: `eval: expected ${missing.map((name) => `--${name}`).join(', ')}`,
    hint: 'See `spatialsv eval --help`.',
  });
}

function registerVerify(command: Command, context: CommandContext): void {
  describeCommand(
    command.command('verify').argument('<run>', 'run folder of an evaluation'),
    'Read, score and count the outputs of a run again: every number that is written there has to follow from them.',
    ['eval verify runs/mindcube'],
  )
    .option('--json', 'print what differs as JSON', false)
    .action(async (run: string, { json }: { json: boolean }) => {
      const { verifyRun } = await import('../commands/eval-runs.js');
      await verifyRun(run, json, context);
    });
}

function registerMerge(command: Command, context: CommandContext): void {
  describeCommand(
    command.command('merge').argument('<runs...>', 'run folders of all shards'),
    'Put the shards of one evaluation together.',
    ['eval merge runs/vsi-1 runs/vsi-2 --out runs/vsi'],
  )
    .requiredOption('--out <folder>', 'run folder of the whole')
    .option(...seedOption('seed of the random chance lines and the permutation test'))
    .option('--json', 'print the results as JSON', false)
    .action(async (runs: string[], options: MergeOptions) => {
      const { mergeRuns } = await import('../commands/eval-runs.js');
      await mergeRuns(runs, options, context);
    });
}

function registerCompare(program: Command, context: CommandContext): void {
  describeCommand(
    program
      .command('compare')
      .argument('<runs...>', 'run folders of one benchmark; the first is compared with each other'),
    'Compare evaluations question by question: exact McNemar test and paired bootstrap of the difference.',
    ['compare runs/base runs/spatialsv --format md'],
  )
    .addOption(formatOption('how the table is printed'))
    .option(...seedOption('seed of the bootstrap'))
    .action(async (runs: string[], options: { format: ComparisonFormat; seed: number }) => {
      if (runs.length < 2) {
        throw new SpatialError({
          code: 'USAGE',
          message: 'compare: expected at least two run folders',
          hint: 'See `spatialsv compare --help`.',
        });
      }
      const { compareEvaluations } = await import('../commands/eval-runs.js');
      await compareEvaluations(runs, options, context);
    });
}
