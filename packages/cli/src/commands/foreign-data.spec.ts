import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { writeDataset } from '@spatialsv/vfm-synthetic';
import { runForTest } from '../testing/test-run.js';

const root = mkdtempSync(join(tmpdir(), 'spatialsv-foreign-data-'));
const model = join(root, 'model');
const imageFolder = join(root, 'images');

/** A package of somebody else that knows nothing of SpatialSV but its contract. */
const PLUGIN = `
const { readFile } = require('node:fs/promises');
const path = require('node:path');

async function* readTable(file, { settings = {} } = {}) {
  const lines = (await readFile(file, 'utf8')).trim().split('\\n');
  for (const [index, line] of lines.entries()) {
    const [id, images, question, right, wrong] = line.split('\\t');
    if (wrong === undefined) {
      throw new Error(file + ':' + (index + 1) + ': expected 5 columns');
    }
    yield {
      id,
      images: images.split(',').map((image) => path.resolve(path.dirname(file), image)),
      question: (settings.before ?? '') + question,
      options: { A: right, B: wrong },
      answer: 'A. ' + right,
      answerLetter: 'A',
      category: 'table',
    };
  }
}

const format = {
  specificationVersion: 'v1', kind: 'dataset-format', id: 'table',
  detect: async (file) => file.endsWith('.tsv'),
  read: readTable,
};
const column = (name, answers) => {
  const correct = answers.filter(({ score }) => score === 1).length;
  return { name, unit: 'accuracy', value: correct / answers.length, total: answers.length, correct };
};
const benchmark = {
  specificationVersion: 'v1', kind: 'benchmark', id: 'table-bench',
  title: 'Table', variants: ['plain', 'broken'],
  async *questions(folder, { variant }) {
    if (variant === 'broken') throw new TypeError('no such column');
    for await (const { id, images, question, options } of readTable(path.join(folder, 'questions.tsv'))) {
      yield {
        id, category: 'table', maxNewTokens: 2, right: { kind: 'letter', value: 'A' },
        options: Object.entries(options).map(([letter, text]) => ({ letter, text })),
        parts: [...images.map((source) => ({ type: 'image', image: { name: source, source } })), { type: 'text', text: question }],
      };
    }
  },
  extract: (text) => /[AB]/.exec(text)?.[0],
  score: (extracted, { right }) => (extracted === right.value ? 1 : 0),
  combine: (answers) => ({ overall: column('overall', answers), columns: [column('table', answers)] }),
  remarks: (questions) => ['These are ' + questions.length + ' questions of a table.'],
};
module.exports = { specificationVersion: 'v1', contributions: () => [format, benchmark] };
`;

function installPlugin(): void {
  const folder = join(root, 'node_modules/table-data');
  mkdirSync(folder, { recursive: true });
  const manifest = { apiVersion: 1, kinds: ['dataset-format', 'benchmark'], entry: './plugin.cjs' };
  const packageJson = { name: 'table-data', version: '1.0.0', spatialsv: manifest };
  writeFileSync(join(folder, 'package.json'), JSON.stringify(packageJson));
  writeFileSync(join(folder, 'plugin.cjs'), PLUGIN);
  writeFileSync(
    join(root, 'package.json'),
    JSON.stringify({ dependencies: { 'table-data': '*' } }),
  );
}

beforeAll(async () => {
  installPlugin();
  const size = ['--hidden-size', '32', '--layers', '4', '--attention-heads', '2'];
  await runForTest(['tiny', '--family', 'qwen2.5-vl', '--out', model, ...size]);
  const { file } = await writeDataset({
    folder: imageFolder,
    scenes: 1,
    seed: 1,
    split: 'test',
    width: 56,
    height: 56,
    views: 2,
    questionsPerScene: 1,
    preface: false,
  });
  const { images } = JSON.parse(readFileSync(file, 'utf8').split('\n')[0]!);
  const paths = images.map((image: string) => `images/${image}`).join(',');
  const rows = ['Is it red?', 'Is it blue?'].map((text, i) => `q${i}\t${paths}\t${text}\tyes\tno`);
  writeFileSync(join(root, 'questions.tsv'), `${rows.join('\n')}\n`);
  writeFileSync(join(root, 'broken.tsv'), `${rows[0]}\nq1\t${paths}\n`);
});

afterAll(() => rmSync(root, { recursive: true }));

function writeConfig(name: string, data: string): string {
  const lines = [
    `model: ${model}`,
    `out: ${name}`,
    `data: [${data}]`,
    'imageBudget: { maxPixels: 3136 }',
    'batchSize: 1',
    'schedule: { steps: 2 }',
  ];
  const file = join(root, `${name}.yaml`);
  writeFileSync(file, `${lines.join('\n')}\n`);
  return file;
}

describe('a plugin with a data set format and a benchmark', () => {
  it('is listed', async () => {
    const { out } = await runForTest(['plugins', '--json'], { folder: root });
    const { contributions, rejected } = JSON.parse(out);
    expect(rejected).toEqual([]);
    expect(contributions).toEqual(
      expect.arrayContaining([
        { kind: 'dataset-format', id: 'jsonl', plugin: '@spatialsv/core' },
        { kind: 'dataset-format', id: 'table', plugin: 'table-data' },
        { kind: 'benchmark', id: 'mindcube', plugin: '@spatialsv/eval' },
        { kind: 'benchmark', id: 'table-bench', plugin: 'table-data' },
      ]),
    );
  });

  it.each([
    '{ format: table, path: questions.tsv, settings: { before: "Say: " } }',
    '{ path: questions.tsv }',
  ])('is trained on: %s', async (data) => {
    const name = data.includes('format') ? 'named' : 'detected';
    const { exitCode, out, err } = await runForTest(['train', writeConfig(name, data)]);
    expect([exitCode, err]).toEqual([0, expect.stringContaining('2 samples')]);
    expect(existsSync(join(out.trim(), 'config.json'))).toBe(true);
  });

  it('says which line of its file is wrong', async () => {
    const file = writeConfig('broken', '{ format: table, path: broken.tsv }');
    const { exitCode, err } = await runForTest(['train', file]);
    expect(exitCode).toBe(1);
    expect(err).toMatch(/PLUGIN_INVALID.*format table.*broken\.tsv:2/);
  });

  it('is suggested for a name that is nearly its own', async () => {
    const file = writeConfig('misspelt', '{ format: tabel, path: questions.tsv }');
    const { err } = await runForTest(['train', file]);
    expect(err).toMatch(
      /PLUGIN_UNKNOWN.*questions\.tsv.*jsonl, messages, mindcube, mmbench, table/,
    );
    expect(err).toContain('"table"');
  });

  it('is labelled', async () => {
    const args = ['label', '--source', 'synthetic', '--data', join(root, 'questions.tsv')];
    const { exitCode, out } = await runForTest(
      [...args, '--format', 'table', '--out', join(root, 'labels'), '--json'],
      { folder: root },
    );
    expect(exitCode).toBe(0);
    expect(JSON.parse(out)).toMatchObject({ written: 1 });
  });

  it('is evaluated on', async () => {
    const args = ['eval', '--model', model, '--benchmark', 'table-bench', '--data', root];
    const { exitCode, out, err } = await runForTest(
      [
        ...args,
        '--out',
        join(root, 'run'),
        '--max-pixels',
        '3136',
        '--max-new-tokens',
        '2',
        '--json',
      ],
      { folder: root },
    );
    expect(exitCode).toBe(0);
    expect(JSON.parse(out)).toMatchObject({ overall: { total: 2 }, columns: [{ name: 'table' }] });
    expect(err).toContain('These are 2 questions of a table.');
  });

  it('is named where it fails', async () => {
    const args = [
      'eval',
      '--model',
      model,
      '--benchmark',
      'table-bench',
      '--data',
      root,
      '--out',
      join(root, 'no'),
    ];
    const { exitCode, err } = await runForTest([...args, '--variant', 'broken'], { folder: root });
    expect(exitCode).toBe(1);
    expect(err).toMatch(/PLUGIN_INVALID.*benchmark table-bench.*no such column/);
    const other = await runForTest([...args, '--variant', 'x'], { folder: root });
    expect(other.err).toMatch(/error\[USAGE\].*--variant x: Table has plain, broken/);
  });
});
