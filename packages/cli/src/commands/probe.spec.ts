import {
  copyFileSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { writeDataset } from '@spatialsv/vfm-synthetic';
import type { CommandContext } from '../context.js';
import { type Outcome, runForTest } from '../testing/test-run.js';

const root = mkdtempSync(join(tmpdir(), 'spatialsv-probe-'));
const model = join(root, 'model');
const labels = join(root, 'labels');
const data = join(root, 'rooms', 'raw', 'MindCube_train.jsonl');
const SITES = 'vision:0,projector,layer:1,final';
/** Distinct view sets, and images, of the rendered questions. */
let sets: number;
let images: number;

const probeArgs = (out: string, ...more: string[]) => [
  ...['probe', '--model', model, '--data', data, '--format', 'mindcube', '--labels', labels],
  ...['--out', join(root, out), '--max-pixels', '3136', '--probe', 'linear', '--steps', '2'],
  ...(more.includes('--sites') ? [] : ['--sites', SITES]),
  ...more,
];
const probe = (out: string, more: string[] = [], context: Partial<CommandContext> = {}) =>
  runForTest(probeArgs(out, ...more), context);
const resultsOf = (out: string) =>
  JSON.parse(readFileSync(join(root, out, 'results.json'), 'utf8'));

function expectError({ exitCode, err }: Outcome, code: number, ...texts: RegExp[]): void {
  expect(exitCode).toBe(code);
  for (const text of texts) expect(err).toMatch(text);
}

beforeAll(async () => {
  await writeDataset({
    ...{ folder: join(root, 'rooms'), scenes: 8, seed: 2, split: 'train', width: 112, height: 112 },
    ...{ questionsPerScene: 2, maxImages: 2 },
  });
  const rows = readFileSync(data, 'utf8')
    .trim()
    .split('\n')
    .map((row) => JSON.parse(row).images);
  sets = new Set(rows.map((row) => JSON.stringify(row))).size;
  images = new Set(rows.flat()).size;
  const size = ['--hidden-size', '32', '--layers', '2', '--attention-heads', '2'];
  await runForTest(['tiny', '--family', 'qwen2.5-vl', '--out', model, ...size]);
  const label = ['label', '--source', 'synthetic', '--data', data, '--format', 'mindcube'];
  await runForTest([...label, '--out', labels, '--height', '56', '--width', '56']);
});
afterAll(() => rmSync(root, { recursive: true }));

describe('probe', () => {
  it('reads each image once, and writes every task beside its controls', async () => {
    const tasks = ['depth', 'normals', 'ray-map', 'correspondence'];
    const { exitCode, out } = await probe('all', ['--task', tasks.join(), '--seeds', '2']);
    expect(exitCode).toBe(0);
    const results = resultsOf('all');
    expect(results).toMatchObject({ viewSets: sets, imageFilesRead: images });
    expect(results.models[0]).toMatchObject({ model: 'model', extracted: sets });
    const subjects = ['constant', 'random', 'pixels', 'label-features', ...SITES.split(',')];
    for (const task of tasks) {
      const ofTask = results.summaries.filter((each: { task: string }) => each.task === task);
      expect(ofTask.map((each: { subject: string }) => each.subject)).toEqual(subjects);
      for (const { metrics } of ofTask)
        for (const { mean, sd } of Object.values(metrics) as { mean: number; sd: number }[]) {
          expect(Number.isFinite(mean)).toBe(true);
          expect(sd).toBeGreaterThanOrEqual(0);
        }
      expect(out).toContain(task);
      expect(readFileSync(join(root, 'all', `sites-${task}.svg`), 'utf8')).toContain('<svg');
    }
    expect(readFileSync(join(root, 'all', 'results.md'), 'utf8')).toContain(
      '| label-features | 64 |',
    );
    const curves = readFileSync(join(root, 'all', 'curves.jsonl'), 'utf8')
      .trim()
      .split('\n');
    expect(curves.map((line) => JSON.parse(line).heldOutLoss).every(Number.isFinite)).toBe(true);
    // 7 that are trained, 4 tasks, 2 seeds, 2 points.
    expect(curves).toHaveLength(7 * 4 * 2 * 2);
  });

  it('does nothing twice, and adds what else is asked for', async () => {
    await probe('again');
    const files = () =>
      Object.fromEntries(
        readdirSync(join(root, 'again', 'probes')).map((name) => [
          name,
          statSync(join(root, 'again', 'probes', name)).mtimeMs,
        ]),
      );
    const [before, first] = [files(), resultsOf('again')];
    await probe('again', ['--sites', `${SITES},embedding`]);
    expect(files()).toMatchObject(before);
    expect(Object.keys(files())).toHaveLength(Object.keys(before).length + 1);
    const second = resultsOf('again');
    expect(second.summaries.slice(0, first.summaries.length)).toEqual(first.summaries);
    expect(second.models[0].extracted).toBe(sets);
    await probe('again', ['--sites', 'embedding']);
    expect(resultsOf('again').models[0].extracted).toBe(0);
  });

  it('goes on where it was stopped', async () => {
    const stop = new AbortController();
    let label = '';
    const progress = {
      start: (text: string) => {
        label = text;
      },
      update: (done: number) => {
        if (label.startsWith('Hidden states') && done === 2) stop.abort();
      },
      done: () => {},
    };
    const stopped = await probe('stopped', [], { progress, signal: stop.signal });
    expect(stopped.exitCode).toBe(130);
    expect((await probe('stopped')).exitCode).toBe(0);
    const { extracted } = resultsOf('stopped').models[0];
    expect(extracted).toBeLessThan(sets);
    expect(extracted).toBeGreaterThanOrEqual(sets - 2);
  });

  it('compares models beside their evaluations', async () => {
    const other = join(root, 'other');
    const size = ['--hidden-size', '32', '--layers', '3', '--attention-heads', '2'];
    await runForTest(['tiny', '--family', 'qwen2.5-vl', '--out', other, '--seed', '5', ...size]);
    const more = ['--model', other, '--sites', 'projector,final', '--controls', 'constant'];
    expect((await probe('models', more)).exitCode).toBe(0);
    const runs = resultsOf('models').models.map(({ weights }: { weights: string }, i: number) => {
      const run = join(root, `eval-${i}`);
      mkdirSync(run);
      const value = [0.4, 0.6][i]!;
      const overall = { name: 'all', unit: 'accuracy', value, total: 10 };
      const intervals = { all: [value - 0.2, value + 0.2] };
      const results = { benchmark: 'mindcube', overall, intervals };
      writeFileSync(join(run, 'results.json'), JSON.stringify(results));
      writeFileSync(join(run, 'evaluation.json'), JSON.stringify({ weights }));
      return run;
    });
    const both = [...more, '--evaluation', runs[0]!, '--evaluation', runs[1]!];
    const swapped = [...more, '--evaluation', runs[1]!, '--evaluation', runs[0]!];
    expectError(await probe('models', swapped), 1, /expected answers of .*model/, /order/);
    const { exitCode, out } = await probe('models', both);
    expect(exitCode).toBe(0);
    expect(out).toMatch(/model .*projector|model .*final/);
    const { comparison } = resultsOf('models');
    expect(comparison).toMatchObject([
      { model: 'model', task: 'depth', accuracy: 0.4, accuracyLow: 0.2 },
      { model: 'other', task: 'depth', accuracy: 0.6 },
    ]);
    const csv = readFileSync(join(root, 'models', 'models-depth.csv'), 'utf8');
    expect(csv.split('\n')).toHaveLength(4);
    expect(statSync(join(root, 'models', 'models-depth.png')).size).toBeGreaterThan(1000);
    expectError(
      await probe('x', more.concat('--evaluation', runs[0]!)),
      2,
      /one for each --model \(2\)/,
    );
  });

  it('has noise no better than the constant, and the ceiling better, on rendered rooms', async () => {
    const size = ['--max-pixels', '12544', '--probe', 'dpt', '--steps', '60'];
    const more = [
      ...size,
      '--seeds',
      '2',
      '--sites',
      'projector',
      '--controls',
      'constant,random,label-features',
    ];
    expect((await probe('order', more)).exitCode).toBe(0);
    const { summaries } = resultsOf('order');
    const rmse = (subject: string) =>
      summaries.find((each: { subject: string }) => each.subject === subject).metrics.rmse.mean;
    // The mean of seven rooms is uncertain itself.
    expect(rmse('random')).toBeGreaterThan(0.93 * rmse('constant'));
    expect(rmse('label-features')).toBeLessThan(0.9 * rmse('constant'));
  });
});

describe('probe refuses', () => {
  it.each([
    [['--sites', 'vison:all'], 2, /found "vison:all"/, /Did you mean vision:all/],
    [['--sites', 'layer:9'], 1, /TAP_UNKNOWN.*layer:9.*layer:1/s, /2 decoder layers/],
    [['--task', 'depht'], 2, /"depht" is none of depth/, /--help/],
    [['--limit', '1'], 2, /at least 2/, /--help/],
    [['--model', model], 2, /named twice/, /--seeds/],
  ])('%j', async (more, code, message, hint) => {
    expectError(await probe('refused', more), code, message, hint);
  });

  it('one scene, before the model runs', async () => {
    const outcome = await probe('single', ['--limit', '2']);
    expectError(outcome, 1, /at least two scenes/, /one scene/);
    expect(readdirSync(join(root, 'single'))).not.toContain('features');
  });

  it('images without labels, before the model runs', async () => {
    const image = readdirSync(join(root, 'rooms', 'other_all_image'), { recursive: true })
      .map(String)
      .find((name) => name.endsWith('.png'))!;
    copyFileSync(join(root, 'rooms', 'other_all_image', image), join(root, 'a.png'));
    const file = join(root, 'other.jsonl');
    writeFileSync(file, '{"id":"q","images":["a.png"],"question":"Where?"}\n');
    const args = probeArgs('unlabelled').map((arg) => (arg === data ? file : arg));
    const outcome = await runForTest(args.map((arg) => (arg === 'mindcube' ? 'jsonl' : arg)));
    expectError(outcome, 1, /no synthetic .* labels of the 1 images .*a\.png/, /spatialsv label/);
    expect(readdirSync(join(root, 'unlabelled'))).not.toContain('features');
  });
});
