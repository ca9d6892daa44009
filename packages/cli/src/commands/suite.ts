import { join } from 'node:path';
import { SpatialError, writeFileAtomic } from '@spatialsv/core';
import { type EvaluationResults, loadSuite, type Suite, type SuiteRun } from '@spatialsv/eval';
import type { CommandContext } from '../context.js';
import { type ModelResults, type PrintedTable, printTable } from '../suite/suite-tables.js';
import { tableIn } from '../table-formats.js';
import { evaluateModel } from './eval.js';
import type { ComparisonFormat } from './eval-runs.js';

/** An evaluation that could not be made. */
interface Failure {
  readonly model: string;
  readonly benchmark: string;
  readonly error: SpatialError;
}

/**
 * Evaluates every model of a suite on every benchmark, and prints the tables, which are also kept as `tables.json` and `tables.md`.
 * One that fails does not stop the others: its cells stay empty.
 * @throws SpatialError CONFIG_INVALID | FILE_MISSING before anything is asked; the first failure at the end.
 */
export async function runSuite(
  file: string,
  { format }: { readonly format: ComparisonFormat },
  context: CommandContext,
): Promise<void> {
  const suite = await loadSuite(file);
  const { results, failures } = await evaluateAll(suite, context);
  const tables = suite.tables.map((table) => printTable(table, results));
  const named = failures.map(({ error: { code, message, hint }, ...rest }) => ({
    ...{ ...rest, code, message, hint },
  }));
  const written = `${JSON.stringify({ tables, failures: named }, null, 2)}\n`;
  await writeFileAtomic(join(suite.out, 'tables.json'), written);
  await writeFileAtomic(join(suite.out, 'tables.md'), tables.map(asMarkdown).join('\n'));
  if (format === 'json')
    context.out(`${JSON.stringify({ out: suite.out, tables, failures: named })}\n`);
  else
    for (const { title, head, rows } of tables)
      context.out(`${title}\n${tableIn(format, [head, ...rows])}\n`);
  endWithFailures(failures);
}

async function evaluateAll(suite: Suite, context: CommandContext) {
  const results = new Map(suite.models.map((model) => [model, new Map() as Mutable<ModelResults>]));
  const failures: Failure[] = [];
  for (const [index, run] of suite.runs.entries()) {
    context.signal.throwIfAborted();
    const { model, benchmark } = run;
    context.err(`Evaluation ${index + 1} of ${suite.runs.length}: ${model} on ${benchmark}\n`);
    const found = await evaluateOne(run, context, failures);
    if (found !== undefined) results.get(model)!.set(benchmark, found);
  }
  return { results, failures };
}

type Mutable<Type> = Type extends ReadonlyMap<infer Key, infer Value> ? Map<Key, Value> : never;

/** One that is complete asks nothing again. */
async function evaluateOne(
  { model, benchmark, options }: SuiteRun,
  context: CommandContext,
  failures: Failure[],
): Promise<EvaluationResults | undefined> {
  try {
    const given = { ...options, sample: false, lift: false, overwrite: false, json: false };
    return (await evaluateModel(given, context)).results;
  } catch (error) {
    if (context.signal.aborted || !SpatialError.isInstance(error)) throw error;
    context.err(`failed: ${error.message}\n`);
    failures.push({ model, benchmark, error });
    return undefined;
  }
}

const asMarkdown = ({ title, head, rows }: PrintedTable): string =>
  `## ${title}\n\n${tableIn('md', [head, ...rows])}`;

function endWithFailures(failures: readonly Failure[]): void {
  const [first] = failures;
  if (first === undefined) return;
  const { code, message, hint, cause } = first.error;
  throw new SpatialError({
    code,
    message: `${failures.length} of the evaluations failed, the first of ${first.model} on ${first.benchmark}: ${message}`,
    hint: `${hint} Then give the same command again: what is complete is not asked again.`,
    cause,
  });
}
