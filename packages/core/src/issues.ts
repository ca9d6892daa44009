import { errorMessage } from './errors.js';

/** What a schema says of one value. */
interface Issue {
  readonly path: readonly PropertyKey[];
  readonly message: string;
  /** Keys that the schema does not know. */
  readonly keys?: readonly string[];
}

const hasIssues = (error: unknown): error is { readonly issues: readonly Issue[] } =>
  Array.isArray((error as { readonly issues?: unknown } | null)?.issues);

const describeIssue = ({ path, message, keys }: Issue): string => {
  const at = path.map(String);
  if (keys !== undefined)
    return `unknown ${keys.map((key) => `'${[...at, key].join('.')}'`).join(', ')}`;
  const text = message.replace(/^Invalid input: /, '').replace(/, received /, ', found ');
  return at.length === 0 ? text : `'${at.join('.')}': ${text}`;
};

/** What is wrong with a value, in one line: the issues of a schema (`unknown 'a.b'; 'c': expected number, found string`), or the message of another error. */
export const describeProblem = (error: unknown): string =>
  hasIssues(error) ? error.issues.map(describeIssue).join('; ') : errorMessage(error);
