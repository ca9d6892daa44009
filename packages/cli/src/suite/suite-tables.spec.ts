import type { ScoreColumnV1 } from '@spatialsv/core/spec';
import type { EvaluationResults, SuiteTable } from '@spatialsv/eval';
import { printTable } from './suite-tables.js';

const overall = (value: number, unit: ScoreColumnV1['unit'] = 'score') =>
  ({
    overall: { name: 'Overall', unit, value, total: 10_000 },
    columns: [{ name: 'near', unit, value, total: 5000 }],
    chance: null,
  }) as unknown as EvaluationResults;

const table: SuiteTable = {
  title: 'All',
  benchmarks: ['a', 'b', 'c'],
  columns: 'overall',
  chance: false,
  average: true,
};

const rowsOf = (...values: readonly (EvaluationResults | undefined)[]) => {
  const found = table.benchmarks.flatMap((name, i) =>
    values[i] === undefined ? [] : [[name, values[i]] as const],
  );
  return printTable(table, new Map([['Ours', new Map(found)]])).rows;
};

describe('a table of a suite', () => {
  it('has the mean of the figures as they are, not as they are printed', () => {
    // The mean of what is printed would be 10.17.
    expect(rowsOf(overall(0.1006), overall(0.1016), overall(0.1016))).toEqual([
      ['Ours', '10.1', '10.2', '10.2', '10.1'],
    ]);
  });

  it('has no mean where a figure is missing or is an error', () => {
    expect(rowsOf(overall(0.5), undefined, overall(0.5))).toEqual([
      ['Ours', '50.0', '–', '50.0', '–'],
    ]);
    expect(rowsOf(overall(0.5), overall(1.25, 'error'), overall(0.5))).toEqual([
      ['Ours', '50.0', '1.25', '50.0', '–'],
    ]);
  });

  it('names the benchmark of a column where there are several', () => {
    const both: SuiteTable = { ...table, columns: 'all', benchmarks: ['a', 'b'], average: false };
    const results = new Map([['Ours', new Map([['b', overall(0.25)]])]]);
    expect(printTable(both, results)).toMatchObject({
      head: ['Method', 'a: Overall', 'b: near', 'b: Overall'],
      rows: [['Ours', '–', '25.0', '25.0']],
    });
  });
});
