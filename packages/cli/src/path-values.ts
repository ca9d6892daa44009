import { expandHome } from '@spatialsv/core/host';
import type { Command } from 'commander';

/** Names of options and arguments that are paths: `<folder>`, `<files...>`, … */
const PATH_NAME = /^(folder|file|path|store|config)s?(\.\.\.)?$/;

const isPath = (flags: string): boolean =>
  PATH_NAME.test(/[<[]([^>\]]+)[>\]]/.exec(flags)?.[1] ?? '');

/** Shells expand `~` at the beginning of a word alone: not in quotes, and not in `--out=~/a`. */
const expand = (value: unknown): unknown => {
  if (typeof value === 'string') return expandHome(value);
  return Array.isArray(value) ? value.map(expand) : value;
};

/** Expands `~` in every path that a command was given. */
export function expandPaths(command: Command): void {
  for (const option of command.options.filter(({ flags }) => isPath(flags))) {
    const name = option.attributeName();
    const source = command.getOptionValueSource(name);
    command.setOptionValueWithSource(name, expand(command.getOptionValue(name)), source);
  }
  for (const [index, argument] of command.registeredArguments.entries())
    if (PATH_NAME.test(argument.name()))
      command.processedArgs[index] = expand(command.processedArgs[index]);
}
