import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { readQuestions } from '@spatialsv/eval';
import { liftFacts, readLift } from '@spatialsv/inspect';
import { writeDataset } from '@spatialsv/vfm-synthetic';
import { runForTest } from '../test-run.js';

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
    const text = /<script type="application\/json" id="report">(.*?)<\/script>/s.exec(
      readFileSync(page, 'utf8'),
    )!;
    const report = JSON.parse(text[1]!);
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

  it('says what it takes', async () => {
    const empty = join(root, 'empty');
    mkdirSync(empty);
    expect((await runForTest(['view', empty])).err).toMatch(/FILE_MISSING.*neither/);
    expect((await runForTest(['view', run, run, run])).err).toMatch(/USAGE.*at most 2/);
    writeFileSync(join(empty, 'evaluation.json'), '{}');
    expect((await runForTest(['view', empty])).exitCode).toBe(1);
  });
});
