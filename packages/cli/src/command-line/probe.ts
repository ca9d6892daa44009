import { type Command, InvalidArgumentError, Option } from 'commander';
import type { CommandContext } from '../context.js';
import type { ProbeOptions } from '../probe/options.js';
import {
  addNames,
  addViewOptions,
  decimal,
  describeCommand,
  precisionOption,
  wholeNumber,
} from './options.js';

const TEXT = `
Sites: vision:K after K blocks of the vision encoder, projector, embedding, layer:K, final; a number belongs to the kind before
it, and \`all\` stands for all of a kind. Hidden states are extracted once and kept under --out (or --store); Ctrl-C stops, and
the same command goes on. Beside the sites stand controls: the best constant, random features, the pixels themselves, and the
features of the label source.`;

const TASKS = ['depth', 'normals', 'ray-map', 'correspondence'];

/** The packages with the probes are not loaded to print a help text. */
const KINDS = ['dpt', 'linear'];
const CONTROLS = ['constant', 'random', 'pixels', 'label-features'];

export function registerProbe(program: Command, context: CommandContext): void {
  const command = describeCommand(
    program.command('probe'),
    'Measure what a frozen model knows of space: small probes are trained on its hidden states and tested on other scenes.',
    [
      'probe --model ./model --data data.jsonl --labels ./labels --sites vision:all,projector,layer:4,12,20,28 --task depth --out runs/probe',
      'probe --model ./base --model ./tuned --evaluation runs/base --evaluation runs/tuned --data data.jsonl --labels ./labels --sites final --out runs/probe --seeds 3',
    ],
  );
  command.addHelpText('after', TEXT);
  addWhat(command);
  addHow(command).action(async (options: ProbeOptions) => {
    const { probe } = await import('../commands/probe.js');
    await probe(options, context);
  });
}

function addWhat(command: Command): void {
  addViewOptions(command)
    .requiredOption(
      '--model <folder>',
      'checkpoint folder in the Hugging Face layout; repeated to compare several',
      collect,
    )
    .requiredOption('--data <file>', 'data set: each distinct list of images is a view set')
    .requiredOption('--labels <store>', 'label store that holds these view sets')
    .requiredOption('--sites <list>', 'sites that are probed')
    .requiredOption('--out <folder>', 'run folder; what it has of the same run is taken up')
    .addOption(
      new Option('--task <list>', `what is probed: ${TASKS.join(', ')}`)
        .argParser(taskList)
        .default(['depth'], 'depth'),
    )
    .option(
      '--evaluation <run>',
      'run folder of `spatialsv eval`, one for each --model in their order: accuracy beside the probes',
      collect,
    )
    .option('--format <id>', 'format of --data; found out from the file where absent')
    .option('--image-root <folder>', 'folder that the paths in --data are relative to')
    .option('--source <id>', 'whose labels, where the store holds those of several sources')
    .option('--limit <n>', 'only the first n view sets', wholeNumber(2));
}

function addHow(command: Command): Command {
  return command
    .addOption(
      new Option(
        '--probe <kind>',
        'what is trained on a site: a small DPT head, or one linear layer',
      )
        .choices(KINDS)
        .default('dpt'),
    )
    .option('--controls <list>', `some of ${CONTROLS.join(', ')}, or none`, controlList)
    .option('--held-out <share>', 'share of the scenes that is measured on', decimal(0, 0.9), 0.2)
    .option('--seeds <n>', 'repetitions, each with a split and fresh parameters', wholeNumber(1), 1)
    .option('--seed <n>', 'the first of the seeds', wholeNumber(0), 0)
    .option('--steps <n>', 'optimiser steps of each probe', wholeNumber(1), 400)
    .option('--batch-size <n>', 'view sets to a step', wholeNumber(1), 2)
    .option('--learning-rate <x>', 'at its peak', decimal(0, 1), 2e-3)
    .addOption(
      new Option('--stored-as <type>', 'how hidden states are kept')
        .choices(['float16', 'float32'])
        .default('float16'),
    )
    .addOption(precisionOption())
    .option('--store <folder>', 'where hidden states are kept (default: features in --out)')
    .option('--device <name>', 'cpu, webgpu, cuda or tensorflow (see `spatialsv doctor`)', 'cpu')
    .option('--json', 'print the results as JSON', false);
}

const collect = (value: string, before: readonly string[] = []): readonly string[] => [
  ...before,
  value,
];

function namesOf(known: readonly string[], text: string): readonly string[] {
  const names = addNames(text);
  const unknown = names.find((name) => !known.includes(name));
  if (unknown === undefined) return names;
  throw new InvalidArgumentError(`"${unknown}" is none of ${known.join(', ')}.`);
}

const taskList = (text: string): readonly string[] => namesOf(TASKS, text);

const controlList = (text: string): readonly string[] =>
  text.trim() === 'none' ? [] : namesOf(CONTROLS, text);
