import { type Finding, findingMessage, type PluginRegistry } from '@spatialsv/core/host';
import { type CommandContext, formatTable, printable } from '../context.js';

export type CheckKind =
  | 'model'
  | 'data'
  | 'images'
  | 'configuration'
  | 'plugins'
  | 'evaluation'
  | 'folder'
  | 'nothing';

/** What a check says of one path. JSON. */
export interface CheckReport {
  readonly kind: CheckKind;
  readonly path: string;
  /** What it is, for example `Qwen2.5-VL checkpoint, 2 shards`. */
  readonly summary: string;
  /** Counts, sizes and statistics by name. */
  readonly facts: Readonly<Record<string, unknown>>;
  /** What a run would not read. */
  readonly passedOver: readonly PassedOver[];
  readonly findings: readonly Finding[];
  /** Reports of what a configuration names, or a folder holds. */
  readonly parts?: readonly CheckReport[];
}

export interface PassedOver {
  readonly where: string;
  readonly why: string;
}

export interface CheckContext extends CommandContext {
  readonly plugins: PluginRegistry;
  /** Of a data file. */
  readonly format?: string;
  readonly imageRoot?: string;
  /** Whose questions a data file or folder holds. */
  readonly benchmark?: string;
  readonly variant?: string;
  /** Folder of the model that will see images. */
  readonly model?: string;
  /** Whether every image is decoded. */
  readonly pixels?: boolean;
  /** Whether every weight is read. */
  readonly weights?: boolean;
  /** Whether what a configuration will take is measured. */
  readonly plan?: boolean;
}

/** Looks at the paths of one kind. */
export interface Check {
  readonly kind: CheckKind;
  /** Whether a path is of this kind by its look; the first check that says so takes it. */
  matches(path: string): Promise<boolean>;
  /** Every problem is a finding; only defects and aborts are thrown. */
  run(path: string, context: CheckContext): Promise<CheckReport>;
}

/** Findings of a report and its parts. */
export const allFindings = ({ findings, parts = [] }: CheckReport): readonly Finding[] => [
  ...findings,
  ...parts.flatMap(allFindings),
];

/** A report for people; parts follow the whole. */
export function formatCheck(report: CheckReport): string {
  const { path, summary, facts, passedOver, findings, parts = [] } = report;
  const rows = Object.entries(facts).map(([name, value]) => [`  ${name}`, describeFact(value)]);
  const passed = shown(passedOver, ({ where, why }) => `  passed over ${where}: ${why}\n`);
  const problems = shown(
    findings,
    (finding) =>
      `  ${finding.severity}[${finding.code}]: ${findingMessage(finding)}\n    hint: ${finding.hint}\n`,
  );
  const table = rows.length === 0 ? '' : formatTable(rows);
  const own = `${path}: ${summary}\n${table}${passed}${problems}`;
  return printable([own, ...parts.map(formatCheck)].join('\n'));
}

/** Findings and files that are printed; --json has all of them. */
const SHOWN = 100;

function shown<Item>(items: readonly Item[], describe: (item: Item) => string): string {
  const more =
    items.length > SHOWN ? `  … and ${items.length - SHOWN} more (--json lists all)\n` : '';
  return `${items.slice(0, SHOWN).map(describe).join('')}${more}`;
}

function describeFact(value: unknown): string {
  if (Array.isArray(value)) return value.map(describeFact).join(', ');
  if (typeof value !== 'object' || value === null) return String(value);
  const entries = Object.entries(value).map(([name, inner]) => `${name} ${describeFact(inner)}`);
  return entries.join(', ');
}
