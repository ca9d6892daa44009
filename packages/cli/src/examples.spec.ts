import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { loadSweep, loadTrainConfig } from '@spatialsv/train';
import { writeDataset } from '@spatialsv/vfm-synthetic';
import { parse, stringify } from 'yaml';
import { runForTest } from './testing/test-run.js';

const EXAMPLES = fileURLToPath(new URL('../../../examples/', import.meta.url));
const root = mkdtempSync(join(tmpdir(), 'spatialsv-examples-'));
const rows = join(root, 'rooms/raw/MindCube_train.jsonl');
const labels = join(root, 'labels');

beforeAll(async () => {
  const rooms = { folder: join(root, 'rooms'), scenes: 1, seed: 1, split: 'train' } as const;
  const size = { width: 56, height: 56, views: 2, questionsPerScene: 2 };
  await writeDataset({ ...rooms, ...size, preface: false });
  const label = ['label', '--source', 'synthetic', '--data', rows, '--format', 'mindcube'];
  expect(await runForTest([...label, '--out', labels])).toMatchObject({ exitCode: 0 });
});
afterAll(() => rmSync(root, { recursive: true }));

const files = readdirSync(EXAMPLES).filter((name) => name.endsWith('.yaml'));
const FAMILIES = {
  'beyond-the-paper.yaml': 'qwen2.5-vl',
  'internvl3.yaml': 'internvl3',
  'llava-next-video.yaml': 'llava-next-video',
  'llava-onevision-1.5.yaml': 'llava-onevision-1.5',
  'qwen2.5-vl.yaml': 'qwen2.5-vl',
};

it('are configurations of four families, one beyond them, and sweeps', () => {
  const sweeps = files.filter((name) => name.startsWith('table-'));
  const runs = files.filter((name) => !sweeps.includes(name) && name !== 'suite.yaml');
  expect(runs).toEqual(Object.keys(FAMILIES));
  expect(sweeps).toHaveLength(4);
});

it('suite.yaml names benchmarks that there are', async () => {
  const text = readFileSync(join(EXAMPLES, 'suite.yaml'), 'utf8');
  const { models, benchmarks } = parse(text) as {
    readonly models: Readonly<Record<string, string>>;
    readonly benchmarks: Readonly<Record<string, { readonly data: string }>>;
  };
  const folder = join(root, 'examples');
  const named = [...Object.values(models), ...Object.values(benchmarks).map(({ data }) => data)];
  for (const path of ['.', ...named]) mkdirSync(join(folder, path), { recursive: true });
  const file = join(folder, 'suite.yaml');
  writeFileSync(file, text);
  const { exitCode, out } = await runForTest(['check', file, '--json']);
  const [{ summary, facts, findings }] = JSON.parse(out);
  expect([exitCode, findings]).toEqual([0, []]);
  expect(summary).toBe('suite of evaluations');
  expect(facts).toMatchObject({ models: 2, evaluations: 20 });
});

it.each(files.filter((name) => name.startsWith('table-')))('%s has arms that fit', async (name) => {
  const { runs } = await loadSweep(join(EXAMPLES, name));
  expect(new Set(runs.map(({ config }) => config.out)).size).toBe(runs.length);
  expect(runs.length).toBeGreaterThan(1);
});

it.each(Object.keys(FAMILIES))('%s trains with every signal', async (name) => {
  const example = await loadTrainConfig(join(EXAMPLES, name));
  expect(example).toMatchObject({ arm: 'spatialsv', signals: ['feat', 'dep', 'poi', 'ray'] });
});

// Those of other families are trained in families.spec.ts.
it.each(Object.entries(FAMILIES).filter(([, family]) => family === 'qwen2.5-vl'))(
  '%s trains a tiny %s with labels of a store',
  async (name, family) => {
    const model = join(root, `${name}-model`);
    const size = ['--hidden-size', '32', '--layers', '4', '--attention-heads', '2'];
    const made = await runForTest(['tiny', '--family', family, '--out', model, ...size]);
    expect(made).toMatchObject({ exitCode: 0 });
    const config = parse(readFileSync(join(EXAMPLES, name), 'utf8'));
    const onRooms = (sets: readonly object[]) => sets.map((set) => ({ ...set, path: rows }));
    const stored = { name: 'synthetic', store: labels };
    const { secondTeacher: second, evaluation } = config;
    // The example, on what there is here: its own data set, a store, and small heads.
    const here = {
      ...config,
      model,
      data: onRooms(config.data),
      source: { ...config.source, ...stored },
      ...(second && { secondTeacher: { ...second, ...stored } }),
      ...(evaluation && {
        evaluation: { ...evaluation, data: [{ ...onRooms(evaluation.data)[0], limit: 1 }] },
      }),
      ...(config.featureCache && { featureCache: join(root, 'features') }),
      out: join(root, `${name}-run`),
      heads: { preset: 'tiny', outputScale: 4 },
      losses: { gradientScales: 1, normalScales: 1, outlierQuantile: null },
      batchSize: 1,
      schedule: { steps: 1 },
    };
    writeFileSync(join(root, name), stringify(here));
    const { exitCode, out, err } = await runForTest(['train', join(root, name), '--json']);
    expect([exitCode, err]).toEqual([0, expect.stringContaining('learning rates')]);
    const { losses } = JSON.parse(out).metrics;
    for (const term of ['text', 'depth', 'ray', 'point'])
      expect(losses).toHaveProperty(term, expect.any(Number));
  },
);
