import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { readDataset } from './dataset.js';

const root = mkdtempSync(join(tmpdir(), 'mmbench-'));
afterAll(() => rmSync(root, { recursive: true }));

/** @param rows JSON texts. */
function read(...rows: readonly string[]) {
  const path = join(root, 'rows.jsonl');
  writeFileSync(path, rows.join('\n'));
  return readDataset({ path, format: 'mmbench', checkImages: false });
}

const row = (rest: object) =>
  JSON.stringify({ index: 1, image: 'a.png', question: 'Which?', answer: 'A', ...rest });

const END = 'Please select the correct answer from the options above. \n';

describe('MMBench rows, as the public kit reads them', () => {
  it.each<[string, string, string]>([
    ['null options', row({ options: { A: 'x', B: 'y', C: null, D: null } }), 'A. x\nB. y\n'],
    [
      'NaN options',
      '{"index":1,"image":"a","question":"Which?","answer":"A","hint":NaN,"options":{"A":"x","B":"y","C":NaN}}',
      'A. x\nB. y\n',
    ],
    ['numeric options', row({ options: { A: 3, B: 2.5 } }), 'A. 3\nB. 2.5\n'],
    ['options as columns', row({ A: 'x', B: 'y', C: null, hint: '' }), 'A. x\nB. y\n'],
  ])('may have %s', async (_, text, options) => {
    const [sample] = await read(text);
    expect(sample!.question).toBe(`Question: Which?\nOptions:\n${options}${END}`);
    expect(Object.keys(sample!.options!)).toEqual(['A', 'B']);
  });

  it('may have an empty hint, a hint, a textual index, no answer and no options', async () => {
    const options = { A: 'x', B: 'y' };
    const samples = await read(
      row({ options, hint: '' }),
      row({ options, hint: 'Look up.', index: '0241' }),
      row({ options, answer: null }),
      row({ answer: '', index: 7 }),
    );
    expect(samples.map(({ id }) => id)).toEqual([
      ...['mmbench_1', 'mmbench_0241', 'mmbench_1', 'mmbench_7'],
    ]);
    expect(samples[1]!.question).toMatch(/^Hint: Look up\.\nQuestion: Which\?\n/);
    expect(samples[0]!.question).toMatch(/^Question:/);
    expect(samples[2]).not.toHaveProperty('answer');
    expect(samples[3]!.question).toBe('Question: Which?\n');
  });

  it('name the field that is wrong, however long the row is', async () => {
    const long = 'x'.repeat(200);
    const wrong = read(row({ options: { A: long, B: long, C: ['y'] } }));
    await expect(wrong).rejects.toThrow(/:1: field 'options\.C': .*found \["y"\]/);
  });
});
