import type { CommandContext } from '../context.js';
import { silentProgress } from '../progress.js';
import { runCommand } from '../run.js';

export interface Outcome {
  readonly exitCode: number;
  readonly out: string;
  readonly err: string;
}

/** Runs a command line in this process and collects what it prints. */
export async function runForTest(
  args: readonly string[],
  given: Partial<CommandContext> = {},
): Promise<Outcome> {
  let [out, err] = ['', ''];
  const exitCode = await runCommand(args, {
    out: (text) => {
      out += text;
    },
    err: (text) => {
      err += text;
    },
    progress: silentProgress,
    signal: new AbortController().signal,
    folder: process.cwd(),
    ...given,
  });
  return { exitCode, out, err };
}
