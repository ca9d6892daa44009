import { mkdirSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { encodePng } from '@spatialsv/core';
import { runForTest } from '../testing/test-run.js';

const root = mkdtempSync(join(tmpdir(), 'spatialsv-suite-'));

const QUESTIONS = [
  { id: 'a', category: 'near', answer: 'A' },
  { id: 'b', category: 'far', answer: 'B' },
  { id: 'c', category: 'near', answer: 'A' },
];

beforeAll(async () => {
  for (const [name, seed] of [
    ['first', '1'],
    ['second', '2'],
  ] as const) {
    const size = ['--hidden-size', '32', '--layers', '4', '--attention-heads', '2'];
    const model = join(root, name);
    await runForTest(['tiny', '--family', 'qwen2.5-vl', '--out', model, '--seed', seed, ...size]);
  }
  mkdirSync(join(root, 'data'));
  const pixels = new Uint8Array(3 * 64).fill(90);
  writeFileSync(
    join(root, 'data', 'a.png'),
    await encodePng(pixels, { width: 8, height: 8, channels: 3 }),
  );
  const common = { images: ['a.png'], question: 'Left?', options: { A: 'yes', B: 'no' } };
  const rows = QUESTIONS.map((row) => JSON.stringify({ ...common, ...row }));
  writeFileSync(join(root, 'data', 'rows.jsonl'), rows.join('\n'));
});
afterAll(() => rmSync(root, { recursive: true }));

const SUITE = `models:
  First: first
  First+more: { model: second, maxPixels: 12544 }
benchmarks:
  rooms: { benchmark: jsonl, data: data/rows.jsonl }
  halls: { benchmark: jsonl, data: data/rows.jsonl, limit: 2 }
maxNewTokens: 2
out: runs
`;

function writeSuite(text: string): string {
  const file = join(root, 'suite.yaml');
  writeFileSync(file, text);
  return file;
}

const TABLES = `tables:
  - { title: Table 1, benchmarks: [rooms, halls], chance: true }
  - { title: Table 2, benchmarks: [rooms, halls], columns: overall, average: true }
`;

describe('eval of a suite', () => {
  it('evaluates every model on every benchmark, and prints the tables', async () => {
    const file = writeSuite(SUITE + TABLES);
    const { exitCode, out, err } = await runForTest(['eval', file, '--json']);
    expect([exitCode, err]).toEqual([
      0,
      expect.stringContaining('Evaluation 4 of 4: First+more on halls'),
    ]);
    const { tables, failures } = JSON.parse(out);
    expect(failures).toEqual([]);
    const [first, second] = tables;
    expect(first.head).toEqual([
      'Method',
      ...['rooms: near', 'rooms: far', 'rooms: Overall'],
      ...['halls: near', 'halls: far', 'halls: Overall'],
    ]);
    expect(first.rows.map(([name]: string[]) => name)).toEqual([
      ...['Chance Level (Random)', 'Chance Level (Frequency)', 'First', 'First+more'],
    ]);
    expect(first.rows[1].slice(1)).toEqual(['100.0', '100.0', '100.0', '100.0', '100.0', '100.0']);
    expect(second.head).toEqual(['Method', 'rooms', 'halls', 'Avg.']);
    for (const [, rooms, halls, average] of second.rows)
      expect(Math.abs(Number(average) - (Number(rooms) + Number(halls)) / 2)).toBeLessThanOrEqual(
        0.11,
      );
    expect(readFileSync(join(root, 'runs', 'tables.md'), 'utf8')).toContain('| Method | rooms |');
  });

  it('asks nothing again that is complete', async () => {
    const answers = join(root, 'runs', 'First', 'rooms', 'predictions.jsonl');
    const before = readFileSync(answers, 'utf8');
    const { exitCode, out } = await runForTest(['eval', writeSuite(SUITE), '--format', 'csv']);
    expect(exitCode).toBe(0);
    expect(readFileSync(answers, 'utf8')).toBe(before);
    // Without tables in the file: one for each benchmark, and one of all.
    expect(out.match(/^(rooms|halls|Overall)$/gm)).toEqual(['rooms', 'halls', 'Overall']);
  });

  it('goes on where one evaluation fails, and says so', async () => {
    mkdirSync(join(root, 'empty'), { recursive: true });
    const broken = SUITE.replace('{ model: second, maxPixels: 12544 }', 'empty');
    const { exitCode, err } = await runForTest([
      'eval',
      writeSuite(broken.replace('runs', 'other')),
    ]);
    expect(exitCode).toBe(1);
    expect(err).toMatch(
      /2 of the evaluations failed, the first of First\+more on rooms: .*empty.*config\.json/,
    );
    expect(statSync(join(root, 'other', 'First', 'halls', 'results.json')).isFile()).toBe(true);
    expect(readFileSync(join(root, 'other', 'tables.md'), 'utf8')).toMatch(/First\+more.*–/);
  });

  it.each([
    ['modells: {}', /modells/],
    [SUITE.replace('First: first', 'First: nowhere'), /models\.First: expected .*nowhere/],
    [SUITE.replace('data: data/rows.jsonl }', 'data: gone }'), /benchmarks\.rooms\.data: .*gone/],
    [SUITE.replace('First:', '"../up":'), /suite\.yaml:2: 'models\.\.\.\/up': expected letters/],
    [
      `${SUITE}tables: [{ title: x, benchmarks: [romms] }]`,
      /table 'x': .*romms(.|\n)*Did you mean rooms/,
    ],
  ])('refuses a wrong file before anything is asked: %#', async (text, message) => {
    const { exitCode, err } = await runForTest(['eval', writeSuite(text)]);
    expect([exitCode, err]).toEqual([expect.any(Number), expect.stringMatching(message)]);
    expect(exitCode).not.toBe(0);
  });

  it('is checked without asking anything', async () => {
    const checked = async (text: string) => {
      const { exitCode, out } = await runForTest(['check', writeSuite(text), '--json']);
      const [{ summary, facts, findings }] = JSON.parse(out);
      return { exitCode, summary, facts, findings: findings.length };
    };
    const facts = { models: 2, evaluations: 4 };
    const summary = 'suite of evaluations';
    expect(await checked(SUITE)).toMatchObject({ exitCode: 0, summary, facts, findings: 0 });
    const wrong = SUITE.replace(
      'benchmark: jsonl, data: data/rows.jsonl, limit',
      'benchmark: x, data: data, limit',
    );
    expect(await checked(wrong)).toMatchObject({ exitCode: 1, summary, findings: 1 });
  });

  it('takes no options of a single evaluation', async () => {
    const { exitCode, err } = await runForTest(['eval', writeSuite(SUITE), '--limit', '1']);
    expect([exitCode, err]).toEqual([2, expect.stringMatching(/expected no --limit/)]);
  });
});
