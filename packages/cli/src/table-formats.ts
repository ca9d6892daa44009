import { formatTable } from './context.js';

export type TableFormat = 'text' | 'md' | 'csv';

type Rows = readonly (readonly string[])[];

/** Rows, the first of which is the head, as text, Markdown or CSV. */
export const tableIn = (format: TableFormat, rows: Rows): string => FORMATS[format](rows);

const FORMATS: Readonly<Record<TableFormat, (rows: Rows) => string>> = {
  text: formatTable,
  md: ([head, ...rows]) =>
    [head!, head!.map(() => '---'), ...rows].map((row) => `| ${row.join(' | ')} |\n`).join(''),
  csv: (rows) => rows.map((row) => `${row.map(csvCell).join(',')}\n`).join(''),
};

const csvCell = (text: string): string =>
  /[",\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
