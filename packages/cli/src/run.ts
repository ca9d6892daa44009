import { Command, CommanderError } from 'commander';
import { checkHint } from './check-hint.js';
import { COMMANDS } from './command-line/index.js';
import type { CommandContext } from './context.js';
import { type Ending, EXIT, explainFailure, usageEnding } from './exit.js';
import { packageVersion } from './version.js';

/** The program with all of its commands. */
export function createProgram(context: CommandContext): Command {
  const program = new Command('spatialsv');
  program
    .description('Teach multimodal LLMs to see in 3D, look at what they see, and measure it.')
    .version(packageVersion())
    // A subcommand may have options of the same names as its command.
    .enablePositionalOptions()
    .addHelpText('after', '\nExample:\n  $ spatialsv demo\n\nEvery command has its own --help.');
  program.hook('preAction', async (_, action) => {
    const { expandPaths } = await import('./path-values.js');
    expandPaths(action);
    const { requireOutputPlace } = await import('./output-place.js');
    requireOutputPlace(action);
  });
  for (const register of COMMANDS) register(program, context);
  for (const command of withSubcommands(program)) {
    command.exitOverride().configureOutput({
      writeOut: context.out,
      writeErr: context.err,
      // Messages are printed once, by `runCommand`.
      outputError: () => {},
    });
  }
  return program;
}

const withSubcommands = (command: Command): Command[] => [
  command,
  ...command.commands.flatMap(withSubcommands),
];

/** The command that the arguments name, down to its subcommand. */
function namedCommand(program: Command, args: readonly string[]): Command | undefined {
  const command = program.commands.find((candidate) => candidate.name() === args[0]);
  return command && (namedCommand(command, args.slice(1)) ?? command);
}

const isVerbose = (args: readonly string[]): boolean =>
  args.includes('--verbose') || Boolean(process.env['SPATIALSV_DEBUG']);

/**
 * Commander looks for missing options before unknown ones, so a misspelt required option would only be called missing.
 * @returns an unknown option among the arguments of a command, and the known one that was probably meant.
 */
async function misspeltOption(
  program: Command,
  args: readonly string[],
): Promise<Ending | undefined> {
  const command = namedCommand(program, args);
  const known =
    command
      ?.createHelp()
      .visibleOptions(command)
      .map((option) => option.long!) ?? [];
  const unknown = args.find((arg) => /^--\w/.test(arg) && !known.includes(arg.replace(/=.*/s, '')));
  if (command === undefined || unknown === undefined) return undefined;
  const { nearestName } = await import('@spatialsv/core/host');
  const nearest = nearestName(known, unknown);
  const suggestion = nearest === undefined ? '' : `Did you mean ${nearest}?`;
  return usageEnding(`unknown option '${unknown}'`, suggestion);
}

const MISSING_OPTION = 'commander.missingMandatoryOptionValue';

/**
 * Runs one command line.
 * @param args arguments after the program's name.
 * @returns the exit code: 0 done, 1 failed, 2 wrong usage, 130 interrupted.
 */
export async function runCommand(
  args: readonly string[],
  context: CommandContext,
): Promise<number> {
  const program = createProgram(context);
  try {
    await program.parseAsync([...args], { from: 'user' });
    return EXIT.done;
  } catch (error) {
    const isMissing = error instanceof CommanderError && error.code === MISSING_OPTION;
    const misspelt = isMissing ? await misspeltOption(program, args) : undefined;
    const { exitCode, text } =
      misspelt ??
      explainFailure(error, isVerbose(args), checkHint(error, namedCommand(program, args)));
    context.err(text);
    return exitCode;
  }
}
