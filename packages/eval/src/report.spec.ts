import { existsSync, readFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { chanceLines } from './baselines.js';
import { mindCube } from './benchmarks/mindcube.js';
import { accuracyReport, type Prediction } from './report.js';

const INDEX = resolve(
  __dirname,
  '../../../../shared/data/benchmarks/mindcube/tinybench_index_1050.csv',
);

const itWithIndex = existsSync(INDEX) ? it : it.skip;
if (!existsSync(INDEX)) console.warn(`skipped, missing: ${INDEX}`);

describe('chanceLines', () => {
  itWithIndex('counts the public MindCube-Tiny as published', () => {
    const rows = readFileSync(INDEX, 'utf8').trim().split('\n').slice(1);
    const questions = rows.map((row) => {
      const [, category, , letters, gold] = row.split(',') as [
        string,
        string,
        string,
        string,
        string,
      ];
      return { category, gold: gold.trim(), letters: [...letters] };
    });
    const lines = chanceLines(questions, 0);
    expect(lines.frequency.letterByCategory).toEqual({ rotation: 'C', among: 'B', around: 'B' });
    expect(lines.frequency.perCategory).toBe(366);
    expect(lines.frequency.global).toBe(361);
    expect(lines.frequency.globalLetter).toBe('B');
    expect((100 * lines.random.expected) / 1050).toBeCloseTo(33.0, 1);
    expect(Math.abs(lines.random.letters4 / 1050 - 0.25)).toBeLessThan(0.05);
    expect(Math.abs(lines.random.options / 1050 - 0.33)).toBeLessThan(0.05);
  });

  it('breaks ties by the alphabet and repeats with its seed', () => {
    const questions = ['B', 'A'].map((gold) => ({ category: 'x', gold, letters: ['A', 'B'] }));
    expect(chanceLines(questions, 3).frequency.globalLetter).toBe('A');
    expect(chanceLines(questions, 3)).toEqual(chanceLines(questions, 3));
  });
});

describe('accuracyReport', () => {
  it('counts unreadable answers as wrong and compares with the frequency line', () => {
    const rows: Prediction[] = ['A', 'B', 'C', 'A'].map((gold, index) => ({
      id: `${index}`,
      category: index < 2 ? 'x' : 'y',
      gold,
      letters: ['A', 'B', 'C'],
      raw: '',
      extracted: index === 3 ? null : gold,
    }));
    const report = accuracyReport(rows, 0);
    expect(report.overall).toMatchObject({ correct: 3, total: 4, accuracy: 0.75 });
    expect(report.byCategory['y']).toMatchObject({ correct: 1, total: 2 });
    expect(report.unreadable).toBe(1);
    expect(report.significance.pointsOverFrequency).toBeCloseTo(25);
  });
});

describe('remarks of MindCube', () => {
  const remarks = (counts: Readonly<Record<string, number>>): string =>
    mindCube.remarks!(
      Object.entries(counts).flatMap(([category, count]) =>
        Array.from({ length: count }, (_, i) => ({ id: `${category}${i}`, category })),
      ),
      'official',
    ).join('\n');

  it('tell the revisions apart', () => {
    expect(remarks({ rotation: 200, among: 600, around: 400 })).toBe('');
    expect(remarks({ rotation: 200, among: 600, around: 250 })).toContain('public');
    expect(remarks({ rotation: 3 })).toContain('unknown');
  });
});
