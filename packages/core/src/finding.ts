import { type ErrorCode, SpatialError } from './errors.js';

/** Something wrong or doubtful about what a user brings: a folder, a data file, an image, a configuration. JSON. */
export interface Finding {
  /** An `error` refuses the input, a `warning` lets it pass. */
  readonly severity: 'error' | 'warning';
  readonly code: ErrorCode;
  readonly what: string;
  /** File, `file:line`, folder, or a part of one. */
  readonly where: string;
  readonly expected?: string;
  readonly found?: string;
  /** What to do. */
  readonly hint: string;
}

/** `where: what: expected …, found …`. */
export function findingMessage({ where, what, expected, found }: Finding): string {
  const difference = [
    ...(expected === undefined ? [] : [`expected ${expected}`]),
    ...(found === undefined ? [] : [`found ${found}`]),
  ].join(', ');
  return [where, what, difference].filter((part) => part !== '').join(': ');
}

/** The error that a finding is where the input is read. */
export const findingError = (finding: Finding): SpatialError =>
  new SpatialError({ code: finding.code, message: findingMessage(finding), hint: finding.hint });

/** The finding that an error is where every problem is listed: same text, code and hint. */
export function findingOf(
  { code, message, hint }: SpatialError,
  severity: Finding['severity'] = 'error',
): Finding {
  const [, where = '', what = message] = /^(\S.*?): (.+)$/s.exec(message) ?? [];
  return { severity, code, where, what, hint };
}

/** Errors that stand for several findings, and those. */
const FINDINGS = new WeakMap<SpatialError, readonly Finding[]>();

/** @throws SpatialError for the first finding that is an error; {@link findingsOf} gives all of them. */
export function requireNoErrors(findings: readonly Finding[]): void {
  const first = findings.find(({ severity }) => severity === 'error');
  if (first === undefined) return;
  const error = findingError(first);
  FINDINGS.set(error, findings);
  throw error;
}

/** Everything that was found before an error was thrown: what {@link requireNoErrors} was given, else the error itself. */
export const findingsOf = (error: SpatialError): readonly Finding[] =>
  FINDINGS.get(error) ?? [findingOf(error)];

/**
 * Does `work` and collects what it refuses.
 * @returns undefined where it threw a SpatialError, which is then among the findings.
 */
export async function collectFinding<Result>(
  findings: Finding[],
  work: () => Promise<Result>,
): Promise<Result | undefined> {
  try {
    return await work();
  } catch (error) {
    if (!SpatialError.isInstance(error)) throw error;
    findings.push(...findingsOf(error));
    return undefined;
  }
}
