import { CodedError } from '@spatialsv/core/spec';
import type { Command } from 'commander';

/** Errors about what was brought: `spatialsv check` may find more of the kind. */
const CODES_OF_INPUTS: ReadonlySet<string> = new Set([
  'FILE_MISSING',
  'FILE_INVALID',
  'IMAGE_INVALID',
  'DATA_INVALID',
  'CONFIG_INVALID',
  'WEIGHT_MISSING',
  'WEIGHT_UNEXPECTED',
  'SHAPE_MISMATCH',
  'DTYPE_UNSUPPORTED',
  'PLUGIN_UNKNOWN',
]);

/** Options that name what is read. */
const INPUTS = ['model', 'data', 'images'] as const;

/** Commands that read none of it, and the one that is named. */
const WITHOUT_INPUTS = ['check', 'labels', 'plugins', 'doctor', 'tiny', 'demo'];

/**
 * Where a command refused its input: how to see every problem of it.
 * @returns a sentence to put behind the hint, or nothing.
 */
export function checkHint(error: unknown, command: Command | undefined): string {
  if (!CodedError.isInstance(error) || !CODES_OF_INPUTS.has(error.code)) return '';
  // A hint that names the command says more than this one would.
  if (error.hint.includes('spatialsv check')) return '';
  if (command === undefined || isWithoutInputs(command)) return '';
  const inputs = [...command.args, ...INPUTS.flatMap((name) => command.getOptionValue(name) ?? [])];
  // The input that the message speaks of; a configuration names the others.
  const found = inputs.find((input) => error.message.includes(input)) ?? command.args[0];
  if (found === undefined) return '';
  return ` \`spatialsv check ${quoted(found)}\` lists every problem of it.`;
}

const isWithoutInputs = (command: Command): boolean =>
  [command, command.parent].some((each) => WITHOUT_INPUTS.includes(each?.name() ?? ''));

const quoted = (path: string): string =>
  /^[\w./~:@%+=-]+$/.test(path) ? path : JSON.stringify(path);
