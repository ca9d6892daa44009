import type { ProgressReporter } from './progress.js';

/** What a command may use of the process that runs it; tests give their own. */
export interface CommandContext {
  /** Results. */
  readonly out: (text: string) => void;
  /** Everything else. */
  readonly err: (text: string) => void;
  readonly progress: ProgressReporter;
  /** Aborted by the first Ctrl-C: finish the step, save, end. */
  readonly signal: AbortSignal;
  /** Working folder: plugins are found from its package.json. */
  readonly folder: string;
}

/** Without control characters, which a terminal would obey. */
export const printable = (text: string): string => text.replace(/[^\P{Cc}\n\t]/gu, '\uFFFD');

/** A table of texts, columns padded to their widest cell. */
export function formatTable(rows: readonly (readonly string[])[]): string {
  const widths: number[] = [];
  for (const row of rows) {
    row.forEach((cell, column) => {
      widths[column] = Math.max(widths[column] ?? 0, cell.length);
    });
  }
  const lines = rows.map((row) =>
    row
      .map((cell, column) => (column === row.length - 1 ? cell : cell.padEnd(widths[column]!)))
      .join('  ')
      .trimEnd(),
  );
  return `${lines.join('\n')}\n`;
}
