import { existsSync, readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { splitInlineOptions } from './options.js';

const MINDCUBE = resolve(__dirname, '../../../../../shared/data/benchmarks/mindcube');

const itWithRows = existsSync(MINDCUBE) ? it : it.skip;
if (!existsSync(MINDCUBE)) console.warn(`skipped, missing: ${MINDCUBE}`);

describe('splitInlineOptions', () => {
  it('splits options at the end of a question', () => {
    expect(splitInlineOptions('What is behind me? A. TV B. Light purple sofa')).toEqual({
      stem: 'What is behind me?',
      options: { A: 'TV', B: 'Light purple sofa' },
    });
  });

  it('does not cut an option at a capital with a period', () => {
    const { options } = splitInlineOptions('Who? A. Mr. X B. Mr. C. Brown C. U.S.A. flag');
    expect(options['A']).toBe('Mr. X');
    expect(options['C']).toBeDefined();
  });

  it('keeps a final period and takes the last run of letters', () => {
    expect(splitInlineOptions('Is A. Smith here? A. Yes B. No.').options).toEqual({
      A: 'Yes',
      B: 'No.',
    });
    expect(splitInlineOptions('no options here').options).toEqual({});
  });

  itWithRows('finds the letters of the real rows', () => {
    const index = new Map(
      read('tinybench_index_1050.csv').map((line) => {
        const cells = line.split(',');
        return [cells[0]!, cells[3]!];
      }),
    );
    const rows = read('tinybench_rows_official_keys.jsonl').map((line) => JSON.parse(line));
    for (const row of rows) {
      const { options } = splitInlineOptions(row.question);
      expect(Object.keys(options).join('')).toBe(index.get(row.id));
      expect(options[row.gt_answer]).toBeTruthy();
    }
    expect(rows).toHaveLength(20);
  });
});

const read = (name: string) =>
  readFileSync(join(MINDCUBE, name), 'utf8')
    .split('\n')
    .filter((line) => line !== '');
