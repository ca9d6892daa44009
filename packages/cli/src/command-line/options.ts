import type { Shard } from '@spatialsv/core';
import { type Command, InvalidArgumentError, Option } from 'commander';

/** Adds what every command has: `--verbose` and examples. */
export function describeCommand(
  command: Command,
  description: string,
  examples: readonly string[],
): Command {
  const lines = examples.map((example) => `  $ spatialsv ${example}`);
  return (
    command
      // Lines of the source are no lines of a terminal: only what ends a sentence begins a new one.
      .description(description.replace(/(?<![.:])\n/g, ' '))
      .option('--verbose', 'print where an error happened')
      .addHelpText('after', `\nExample${examples.length > 1 ? 's' : ''}:\n${lines.join('\n')}`)
  );
}

/** Parser of an option that takes a whole number of at least `least`. */
export const wholeNumber =
  (least: number) =>
  (text: string): number => {
    const value = Number(text);
    if (/^\d+$/.test(text) && Number.isSafeInteger(value) && value >= least) return value;
    throw new InvalidArgumentError(`Expected a whole number of at least ${least}.`);
  };

/** Parser of an option that takes a number above `least`, or from it on, up to `most`. */
export const decimal =
  (least: number, most: number, { from = false } = {}) =>
  (text: string): number => {
    const value = Number(text);
    const fits = (from ? value >= least : value > least) && value <= most;
    if (text.trim() !== '' && Number.isFinite(value) && fits) return value;
    const end = Number.isFinite(most) ? ` up to ${most}` : '';
    throw new InvalidArgumentError(`Expected a number ${from ? 'from' : 'above'} ${least}${end}.`);
  };

/** Parser of a list of layers: `4,12,20,28`. */
export function layerList(text: string): number[] {
  const parts = text.split(',').map((part) => part.trim());
  if (parts.every((part) => /^\d+$/.test(part))) return parts.map(Number);
  throw new InvalidArgumentError('Expected layer numbers separated by commas, for example 4,12.');
}

const DEVICES =
  'cpu, cuda (cuda:1 for the second GPU), webgpu or tensorflow (see `spatialsv doctor`)';

/** Of products and attention. The engine names the same; it is not loaded to print a help text. */
const PRECISIONS = ['float32', 'bfloat16', 'float16'] as const;

/** Where a command computes, and how. */
export interface TargetOptions {
  readonly device: string;
  /** That of the device where absent. */
  readonly precision?: (typeof PRECISIONS)[number];
}

/** Adds the options of commands that compute something. */
export function addDevice(command: Command): Command {
  return command.option('--device <name>', DEVICES, 'cpu').addOption(precisionOption());
}

/** The option of commands that run a network. */
export const precisionOption = (): Option =>
  new Option(
    '--precision <type>',
    'of products and attention; the CPU rounds to 16 bits (default: float32, bfloat16 on NVIDIA GPUs that compute in it)',
  ).choices(PRECISIONS);

/** Adds the option of commands whose work several devices may share. */
export function addDevices(command: Command): Command {
  return command.option(
    '--devices <list>',
    'instead of --device: a process for each of these devices, for example cuda:0,cuda:1; they share the work',
    deviceList,
  );
}

/** Parser of names of devices with commas; a name may come again: a process for each. */
function deviceList(text: string): string[] {
  const names = text.split(',').map((name) => name.trim());
  if (names.every((name) => name !== '')) return names;
  throw new InvalidArgumentError('Expected names separated by commas, for example cuda:0,cuda:1.');
}

/** Arguments of the command line that a command belongs to, as they were given. */
export function givenArguments(command: Command): readonly string[] {
  return (topOf(command) as Command & { readonly rawArgs: readonly string[] }).rawArgs;
}

const topOf = (command: Command): Command =>
  command.parent === null ? command : topOf(command.parent);

/** Parser of `--shard i/n`. */
export function parseShard(text: string): Shard {
  const [, index, count] = (/^(\d+)\/(\d+)$/.exec(text) ?? []).map(Number);
  if (index !== undefined && count !== undefined && index >= 1 && index <= count) {
    return { index, count };
  }
  throw new InvalidArgumentError('Expected i/n with i from 1 to n, for example 2/8.');
}

/** Parser of `key=value`, repeated. Values are YAML, read when the command runs. */
export function addSetting(
  text: string,
  before: Readonly<Record<string, string>> = {},
): Readonly<Record<string, string>> {
  const [, key, value] = /^([^=]+)=(.*)$/s.exec(text) ?? [];
  if (key === undefined || key === '__proto__')
    throw new InvalidArgumentError('Expected key=value.');
  return { ...before, [key]: value! };
}

/** Parser of a list of names with commas, repeated. */
export function addNames(text: string, before: readonly string[] = []): readonly string[] {
  return [...new Set([...before, ...text.split(',').map((name) => name.trim())])];
}

export interface ModelOptions extends TargetOptions {
  readonly model: string;
  readonly images: readonly string[];
  readonly minPixels?: number;
  readonly maxPixels?: number;
  /** Settings of the family by key; values are YAML. */
  readonly set?: Readonly<Record<string, string>>;
}

/** Adds the options of commands that run a checkpoint on images. */
export function addModelOptions(command: Command): Command {
  return addDevice(
    addViewOptions(
      command
        .requiredOption('--model <folder>', 'checkpoint folder in the Hugging Face layout')
        .requiredOption('--images <files...>', 'images of one scene, in the order of the prompt'),
    ),
  );
}

/** Adds the options of commands that open a checkpoint: how it takes its views. */
export function addViewOptions(command: Command): Command {
  return command
    .option('--min-pixels <n>', 'smallest size of a view, in pixels', wholeNumber(1))
    .option('--max-pixels <n>', 'largest size of a view, in pixels', wholeNumber(1))
    .option(
      '--set <key=value>',
      'a setting of the model’s family, repeated; its README lists them',
      addSetting,
    );
}

/** Adds the options of commands that generate text; `--seed` is the command's own. */
export function addGenerationOptions(command: Command, usualLength: string): Command {
  return command
    .option(
      '--max-new-tokens <n>',
      `length of an answer at most (default: ${usualLength})`,
      wholeNumber(1),
    )
    .option(
      '--repetition-penalty <x>',
      'makes tokens of prompt and answer less probable; 1 for none (default: the checkpoint’s)',
      decimal(0, Number.POSITIVE_INFINITY),
    )
    .option('--sample', 'draw the answer instead of taking the most probable token', false)
    .option(
      '--temperature <x>',
      'with --sample (default: the checkpoint’s, as below)',
      decimal(0, Number.POSITIVE_INFINITY),
    )
    .option('--top-k <n>', 'draw among the n most probable tokens; 0 for all', wholeNumber(0))
    .option('--top-p <x>', 'draw among the tokens that reach this probability', decimal(0, 1))
    .option(
      '--min-p <x>',
      'draw among tokens of at least this share of the largest probability',
      decimal(0, 1, { from: true }),
    );
}

/** What is read of weights in 16 bits. The engine names the same; it is not loaded to print a help text. */
const WEIGHT_POLICIES = ['auto', 'mapped', 'float32'] as const;

export interface WeightOptions {
  readonly weightPolicy: (typeof WEIGHT_POLICIES)[number];
}

/** Adds the option of commands that generate text. */
export function addWeightPolicy(command: Command): Command {
  const option = new Option(
    '--weight-policy <policy>',
    'how 16-bit weights are read: mapped from the file (least memory), float32 (one copy), auto by free memory',
  );
  return command.addOption(option.choices(WEIGHT_POLICIES).default('auto'));
}
