import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { readQuestions } from '@spatialsv/eval';
import { liftFacts, readLift } from '@spatialsv/inspect';
import { writeDataset } from '@spatialsv/vfm-synthetic';
import { runForTest } from '../testing/test-run.js';

const root = mkdtempSync(join(tmpdir(), 'spatialsv-view-'));
const model = join(root, 'model');
const run = join(root, 'run');
let data: string;

beforeAll(async () => {
  const size = ['--hidden-size', '32', '--layers', '4', '--attention-heads', '2'];
  const tiny = ['tiny', '--family', 'qwen2.5-vl', '--out', model, '--heads', ...size];
  expect(await runForTest(tiny)).toMatchObject({ exitCode: 0, err: '' });
  const dataset = await writeDataset({
    ...{ folder: join(root, 'rooms'), split: 'test', seed: 5, scenes: 1, questionsPerScene: 3 },
    ...{ width: 56, height: 56, views: 3, motions: ['among'], preface: false },
  });
  data = dataset.file;
}, 600_000);
afterAll(() => rmSync(root, { recursive: true }));

const evaluate = (out: string, ...rest: string[]) =>
  runForTest([
    ...['eval', '--model', model, '--benchmark', 'mindcube', '--data', data, '--out', out],
    ...['--max-pixels', '3136', '--max-new-tokens', '1', ...rest],
  ]);

/** What a page reads first. */
const reportIn = (page: string) => {
  const element = /<script type="application\/json" id="report">(.*?)<\/script>/s;
  return JSON.parse(element.exec(readFileSync(page, 'utf8'))![1]!);
};

describe('eval --lift', () => {
  it('keeps every view set once, with labels, also of a run that was finished without', async () => {
    expect((await evaluate(run)).exitCode).toBe(0);
    const answers = readFileSync(join(run, 'predictions.jsonl'), 'utf8');
    expect((await evaluate(run, '--lift', '--source', 'synthetic')).exitCode).toBe(0);
    expect(readFileSync(join(run, 'predictions.jsonl'), 'utf8')).toBe(answers);
    const views = new Set((await readQuestions(run)).map((question) => question.views));
    const files = readdirSync(join(run, 'lifts'));
    expect(files.toSorted()).toEqual([...views].map((key) => `${key}.safetensors`).toSorted());
    const file = join(run, 'lifts', files[0]!);
    expect(await liftFacts(file)).toMatchObject({
      labelSource: 'synthetic',
      metrics: { depthRmse: expect.any(Number) },
    });
    const { labels, predictions, photos } = await readLift(file);
    expect([labels!.height, labels!.views]).toEqual([predictions.height, photos.length]);
  });

  it('of shards are put together with what was asked', async () => {
    const shards = [1, 2].map((index) => join(root, `shard-${index}`));
    for (const [i, out] of shards.entries())
      expect((await evaluate(out, '--lift', '--shard', `${i + 1}/2`)).exitCode).toBe(0);
    const merged = join(root, 'merged');
    expect((await runForTest(['eval', 'merge', ...shards, '--out', merged])).exitCode).toBe(0);
    expect(await readQuestions(merged)).toEqual(await readQuestions(run));
    expect(readdirSync(join(merged, 'lifts'))).toEqual(readdirSync(join(run, 'lifts')));
  });

  it('needs 3D heads, and takes labels beside lifts alone', async () => {
    const labelled = await evaluate(join(root, 'other'), '--source', 'synthetic');
    expect([labelled.exitCode, labelled.err]).toEqual([2, expect.stringContaining('Add --lift')]);
    const plain = join(root, 'plain');
    await runForTest(['tiny', '--family', 'qwen2.5-vl', '--out', plain, '--hidden-size', '32']);
    const { err } = await runForTest([
      ...['eval', '--model', plain, '--benchmark', 'mindcube', '--data', data],
      ...['--out', join(root, 'other'), '--lift'],
    ]);
    expect(err).toContain('expected 3D heads');
  });
});

describe('view', () => {
  it('writes the report of one run, and of two of them beside each other', async () => {
    const page = join(root, 'report.html');
    const { exitCode, out } = await runForTest(['view', run, run, '--out', page]);
    expect([exitCode, out]).toEqual([0, `${page}\n`]);
    const report = reportIn(page);
    expect(report.runs.map(({ name }: { name: string }) => name)).toEqual(['run (1)', 'run (2)']);
    expect(report.questions).toHaveLength(3);
    expect(report.questions[0]).toMatchObject({
      text: expect.stringContaining('?'),
      scene: expect.stringMatching(/^[0-9a-f]{64}$/),
      answers: [{ depthRmse: expect.any(Number) }, { score: expect.any(Number) }],
    });
    expect(readFileSync(page, 'utf8')).toContain(`id="scene-${report.questions[0].scene}"`);
  });

  it('serves a run until it is interrupted', async () => {
    const ending = new AbortController();
    let printed = '';
    const ended = runForTest(['view', run, '--json'], {
      signal: ending.signal,
      out: (text) => {
        printed += text;
      },
    });
    while (printed === '') await new Promise((resolve) => setTimeout(resolve, 20));
    const { url } = JSON.parse(printed) as { url: string };
    const read = async (path: string) => JSON.parse(await (await fetch(`${url}${path}`)).text());
    const report = await read('report.json');
    const scene = await read(`scenes/${report.questions[0].scene}.json`);
    expect([report.scenes, scene.predictions.length]).toEqual(['server', 1]);
    ending.abort();
    expect((await ended).exitCode).toBe(0);
    await expect(fetch(url)).rejects.toThrow();
  });

  it('shows a run without lifts, and says how to get them', async () => {
    const bare = join(root, 'bare');
    await evaluate(bare, '--limit', '2');
    const out = join(root, 'bare.html');
    expect((await runForTest(['view', bare, '--out', out])).exitCode).toBe(0);
    expect(readFileSync(out, 'utf8')).toContain('nothing was lifted');
  });

  it('follows a training run: its losses, and its watched views at every step', async () => {
    const out = join(root, 'trained');
    const config = join(root, 'run.yaml');
    const yaml = [
      `model: ${model}`,
      `data: [{ format: mindcube, path: ${data}, prompt: plain }]`,
      'source: { name: synthetic, height: 56, width: 56 }',
      'heads: { preset: tiny, outputScale: 8, tasks: [depth] }',
      'optimizer: { learningRates: { languageModel: 1e-3, projector: 1e-3, spatial: 1e-3 } }',
      'schedule: { steps: 2 }',
      'imageBudget: { maxPixels: 3136 }',
      'batchSize: 1',
      'watch: { every: 1, samples: 1 }',
      `out: ${out}`,
    ];
    writeFileSync(config, yaml.join('\n'));
    // Of a run that went further before it was resumed.
    mkdirSync(join(out, 'watch', 'step-9'), { recursive: true });
    const trained = await runForTest(['train', config]);
    expect(trained).toMatchObject({ exitCode: 0 });
    const page = join(root, 'training.html');
    expect((await runForTest(['view', out, '--out', page])).exitCode).toBe(0);
    const report = reportIn(page);
    expect(report.training.watched).toEqual([0, 1, 2]);
    const total = report.training.curves.find(({ name }: { name: string }) => name === 'total');
    expect(total.points.map(([step]: [number]) => step)).toEqual([1, 2]);
    expect(report.questions).toHaveLength(1);
    expect(readFileSync(page, 'utf8')).toContain(`id="scene-${report.questions[0].scene}@2"`);
  });

  it('says what it takes', async () => {
    const empty = join(root, 'empty');
    mkdirSync(empty);
    expect((await runForTest(['view', empty])).err).toMatch(/FILE_MISSING.*neither/);
    expect((await runForTest(['view', run, run, run])).err).toMatch(/USAGE.*at most 2/);
    writeFileSync(join(empty, 'evaluation.json'), '{}');
    expect((await runForTest(['view', empty])).exitCode).toBe(1);
  });
});
