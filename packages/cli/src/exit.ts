import { CodedError } from '@spatialsv/core/spec';
import { CommanderError } from 'commander';
import { printable } from './context.js';

/** Exit codes of every command. */
export const EXIT = { done: 0, failed: 1, usage: 2, interrupted: 130 } as const;

/** How a command ended, and what to print about it. */
export interface Ending {
  readonly exitCode: number;
  /** Empty when there is nothing to add. */
  readonly text: string;
}

/**
 * Turns whatever a command threw into an exit code and `error[CODE]: message` with a hint; the stack on request.
 * @param more sentence behind the hint of an error that a user can cause.
 */
export function explainFailure(error: unknown, verbose: boolean, more = ''): Ending {
  if (error instanceof CommanderError) return explainUsage(error);
  if (isAbort(error)) return { exitCode: EXIT.interrupted, text: 'Interrupted.\n' };
  const stack = verbose && error instanceof Error ? `${describe(error)}\n` : '';
  if (CodedError.isInstance(error)) {
    const exitCode = error.code === 'USAGE' ? EXIT.usage : EXIT.failed;
    return {
      exitCode,
      text: `${block(error.code, error.message, `${error.hint}${more}`)}${stack}`,
    };
  }
  return { exitCode: EXIT.failed, text: `${explainUnknown(error, verbose)}${stack}` };
}

const block = (code: string, message: string, hint: string): string =>
  printable(`error[${code}]: ${message}\nhint: ${hint}\n`);

const HELP = new Set(['commander.helpDisplayed', 'commander.help', 'commander.version']);

function explainUsage(error: CommanderError): Ending {
  if (HELP.has(error.code)) {
    return { exitCode: error.code === 'commander.help' ? EXIT.usage : EXIT.done, text: '' };
  }
  const [message, ...suggestion] = error.message.replace(/^error: /, '').split('\n');
  const nearest = suggestion.join(' ').replace(/^\(|\)$/g, '');
  return usageEnding(message!, nearest);
}

/** @param nearest a suggestion, or nothing. */
export function usageEnding(message: string, nearest: string): Ending {
  const hint = `${nearest === '' ? '' : `${nearest} `}Run the command with --help to see its options.`;
  return { exitCode: EXIT.usage, text: block('USAGE', message, hint) };
}

/** A DOMException is no Error in every realm. */
const isAbort = (error: unknown): boolean => (error as Error | undefined)?.name === 'AbortError';

/** What to do about failures of the system; others are defects of this program. */
const SYSTEM_HINTS: Readonly<Record<string, string>> = {
  EACCES: 'Check the permissions of the path.',
  EPERM: 'Check the permissions of the path.',
  EROFS: 'The disk is read-only: choose another path.',
  ENOSPC: 'The disk is full: free some space or choose another path.',
  EDQUOT: 'Your share of the disk is used up: free some space or choose another path.',
  EFBIG: 'A file may not grow so large here: lift the limit (`ulimit -f`) or choose another path.',
  ENOENT: 'Check the path.',
  EEXIST: 'Choose a path that does not exist yet.',
  ENOTDIR: 'A part of the path is a file: choose another path.',
  EISDIR: 'The path is a folder: name a file.',
  EMFILE: 'Too many open files: raise the limit with `ulimit -n`.',
};

function explainUnknown(error: unknown, verbose: boolean): string {
  const message = error instanceof Error ? error.message : String(error);
  const code = String((error as NodeJS.ErrnoException | undefined)?.code ?? '');
  const hint = SYSTEM_HINTS[code];
  if (hint !== undefined) return block(code, message, hint);
  const more = verbose ? '' : ' --verbose shows where it happened.';
  return block('INTERNAL', message, `This is a defect of spatialsv, please report it.${more}`);
}

function describe(error: Error): string {
  const causes = error.cause instanceof AggregateError ? error.cause.errors : [error.cause];
  const texts = causes.map((cause) =>
    cause instanceof Error ? `\ncaused by ${describe(cause)}` : '',
  );
  return `${error.stack ?? error.message}${texts.join('')}`;
}
