import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { writePng } from '@spatialsv/core';
import { writeDataset } from '@spatialsv/vfm-synthetic';
import { runForTest } from '../testing/test-run.js';

const root = mkdtempSync(join(tmpdir(), 'spatialsv-swap-'));
const model = join(root, 'model');
const rooms = join(root, 'rooms/raw/MindCube_train.jsonl');

beforeAll(async () => {
  const folder = join(root, 'rooms');
  await writeDataset({
    folder,
    scenes: 2,
    seed: 5,
    split: 'train',
    motions: ['around'],
    width: 56,
    height: 56,
    preface: false,
  });
  const narrow = ['--hidden-size', '32', '--layers', '4', '--attention-heads', '2'];
  for (const [family, out, ...size] of [
    ['qwen2.5-vl', model, ...narrow],
    ['vggt', join(root, 'vggt')],
    ['dav3', join(root, 'dav3')],
  ] as const) {
    const { exitCode, err } = await runForTest(['tiny', '--family', family, '--out', out, ...size]);
    expect([err, exitCode]).toEqual(['', 0]);
  }
});
afterAll(() => rmSync(root, { recursive: true }));

/** A run of which only the source differs. */
function writeConfig(name: string, source: object): string {
  const file = join(root, `${name}.yaml`);
  const config = {
    model,
    out: join(root, 'runs', name),
    source,
    data: [{ format: 'mindcube', path: rooms, prompt: 'plain', limit: 1 }],
    heads: { preset: 'tiny' },
    losses: { gradientScales: 1, normalScales: 1, outlierQuantile: null },
    schedule: { steps: 2 },
    batchSize: 1,
  };
  writeFileSync(file, JSON.stringify(config)); // JSON is YAML.
  return file;
}

const OFFICIAL = fileURLToPath(
  new URL(
    '../../../../../shared/data/benchmarks/mindcube/train_rows_official_keys.jsonl',
    import.meta.url,
  ),
);

if (!existsSync(OFFICIAL)) console.warn(`skipped, missing: ${OFFICIAL}`);

/** The first of the rows as they are published, with small images under the names that it gives. */
async function writeOfficialRows() {
  const folder = join(root, 'MindCube/data');
  const [row] = readFileSync(OFFICIAL, 'utf8').split('\n');
  const { images } = JSON.parse(row!) as { readonly images: readonly string[] };
  for (const [index, name] of images.entries()) {
    mkdirSync(dirname(join(folder, name)), { recursive: true });
    const pixels = Uint8Array.from({ length: 56 * 56 * 3 }, (_, i) => (i * (5 + index)) % 251);
    await writePng(join(folder, name), pixels, { height: 56, width: 56, channels: 3 });
  }
  mkdirSync(join(folder, 'raw'), { recursive: true });
  const data = join(folder, 'raw/MindCube_train.jsonl');
  writeFileSync(data, `${row}\n`);
  return { data, store: join(root, 'store-official') };
}

const SOURCES = [
  ['synthetic', {}],
  ['vggt', { weights: join(root, 'vggt'), settings: { resolution: 56 } }],
  ['dav3', { weights: join(root, 'dav3'), settings: { resolution: 56 } }],
] as const;

const lossesOf = (name: string): Record<string, number>[] =>
  readFileSync(join(root, 'runs', name, 'metrics.jsonl'), 'utf8')
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line).losses);

describe('one training run', () => {
  it.each(SOURCES)('with labels of %s, by one word', async (name, options) => {
    const config = writeConfig(name, { name, ...options });
    const { exitCode, err } = await runForTest(['train', config]);
    expect([exitCode, exitCode === 0 ? '' : err]).toEqual([0, '']);
    for (const losses of lossesOf(name)) {
      const terms = ['text', 'distillation', 'depth', 'ray', 'point'] as const;
      // A term that is left out is 0.
      const missing = terms.filter((term) => !Number.isFinite(losses[term]) || losses[term] === 0);
      expect(missing).toEqual([]);
    }
    const manifest = readFileSync(join(root, 'runs', name, 'manifest.json'), 'utf8');
    expect(JSON.parse(manifest).source).toMatchObject({ source: name, licence: {} });
  });

  it.each(SOURCES)('with labels of %s out of a store, equally', async (name, options) => {
    const store = join(root, 'store');
    const { weights = undefined, settings = {} } = options as {
      weights?: string;
      settings?: Record<string, number>;
    };
    const args = [
      'label',
      '--source',
      name,
      '--data',
      rooms,
      '--format',
      'mindcube',
      '--limit',
      '1',
    ];
    if (weights !== undefined) args.push('--weights', weights);
    for (const [key, value] of Object.entries(settings)) args.push('--setting', `${key}=${value}`);
    const labelled = await runForTest([...args, '--out', store]);
    expect([labelled.exitCode, labelled.exitCode === 0 ? '' : labelled.err]).toEqual([0, '']);
    const stored = `${name}-stored`;
    const { exitCode, err } = await runForTest(['train', writeConfig(stored, { name, store })]);
    expect([exitCode, exitCode === 0 ? '' : err]).toEqual([0, '']);
    const [direct, fromStore] = [lossesOf(name), lossesOf(stored)];
    // The store rounds depth and features to float16 where that costs less than a thousandth.
    expect(fromStore[0]!['total']).toBeCloseTo(direct[0]!['total']!, 2);
  });

  const onOfficialRows = existsSync(OFFICIAL) ? it : it.skip;
  onOfficialRows('of official MindCube rows (skipped without ../shared/data)', async () => {
    const { data, store } = await writeOfficialRows();
    const label = ['label', '--source', 'dav3', '--weights', join(root, 'dav3')];
    const of = ['--data', data, '--setting', 'resolution=56', '--out', store];
    const labelled = await runForTest([...label, ...of]);
    expect([labelled.exitCode, labelled.exitCode === 0 ? '' : labelled.err]).toEqual([0, '']);
    const file = writeConfig('official', { name: 'dav3', store });
    const config = JSON.parse(readFileSync(file, 'utf8'));
    const schedule = { steps: 1 };
    writeFileSync(file, JSON.stringify({ ...config, data: [{ path: data }], schedule }));
    const { exitCode, err } = await runForTest(['train', file]);
    expect([exitCode, exitCode === 0 ? '' : err]).toEqual([0, '']);
    for (const term of ['text', 'depth'])
      expect(lossesOf('official')[0]).toHaveProperty(term, expect.any(Number));
  });

  it('with labels of two teachers out of a store, the one weighing the other', async () => {
    const store = join(root, 'store');
    const file = writeConfig('two', { name: 'dav3', store });
    const config = JSON.parse(readFileSync(file, 'utf8'));
    writeFileSync(file, JSON.stringify({ ...config, secondTeacher: { name: 'vggt', store } }));
    const { exitCode, err } = await runForTest(['train', file]);
    expect([exitCode, exitCode === 0 ? '' : err]).toEqual([0, '']);
    const lines = readFileSync(join(root, 'runs/two/metrics.jsonl'), 'utf8').trim().split('\n');
    const { teachers, losses } = JSON.parse(lines[0]!);
    expect(teachers.depthRmse).toBeGreaterThan(0);
    expect(teachers.consensus).toBeLessThan(1);
    expect(losses.depth).not.toBe(lossesOf('dav3-stored')[0]!['depth']);
    const manifest = JSON.parse(readFileSync(join(root, 'runs/two/manifest.json'), 'utf8'));
    expect(manifest).toMatchObject({
      source: { source: 'dav3' },
      secondTeacher: { source: 'vggt' },
    });
  });
});
