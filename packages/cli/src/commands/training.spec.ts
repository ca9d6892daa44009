import { execFile } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { writeDataset } from '@spatialsv/vfm-synthetic';
import { runForTest } from '../testing/test-run.js';

const root = mkdtempSync(join(tmpdir(), 'spatialsv-training-'));
const model = join(root, 'model');
const data = join(root, 'data');
const rows = join(data, 'raw/MindCube_tinybench.jsonl');

beforeAll(async () => {
  const size = ['--hidden-size', '32', '--layers', '4', '--attention-heads', '2'];
  await runForTest(['tiny', '--family', 'qwen2.5-vl', '--out', model, ...size]);
  await writeDataset({
    folder: data,
    scenes: 2,
    seed: 1,
    split: 'tinybench',
    width: 56,
    height: 56,
    views: 2,
    questionsPerScene: 2,
    preface: false,
  });
});

afterAll(() => rmSync(root, { recursive: true }));

function writeConfig(name: string, more = ''): string {
  const file = join(root, `${name}.yaml`);
  const lines = [
    `model: ${model}`,
    `out: ${name}`,
    // One length of a question: one program to compile.
    `data: [{ format: mindcube, path: ${rows}, prompt: plain, limit: 1 }]`,
    'source: { name: synthetic }',
    'heads: { preset: tiny, outputScale: 4, tasks: [depth] }',
    'losses: { gradientScales: 1, normalScales: 1, outlierQuantile: null }',
    'imageBudget: { maxPixels: 3136 }',
    'batchSize: 1',
    'schedule: { steps: 3 }',
    more,
  ];
  writeFileSync(file, `${lines.join('\n')}\n`);
  return file;
}

const stepsOf = (name: string) =>
  readFileSync(join(root, name, 'metrics.jsonl'), 'utf8')
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line).step);

describe('train', () => {
  it('trains on rendered rooms and says where the checkpoint is', async () => {
    const { exitCode, out } = await runForTest(['train', writeConfig('plain')]);
    expect(exitCode).toBe(0);
    expect(out.trim()).toBe(join(root, 'plain/checkpoints/step-3'));
    expect(existsSync(join(out.trim(), 'spatialsv/heads.safetensors'))).toBe(true);
    expect(stepsOf('plain')).toEqual([1, 2, 3]);
  });

  it('is planned with the threads that prepare its samples', async () => {
    // Threads are there where the program is built.
    const program = fileURLToPath(new URL('../../dist/main.js', import.meta.url));
    const file = writeConfig('planned', 'prepareThreads: 2');
    const args = [program, 'train', file, '--measure', '1,layer'];
    const { stdout } = await promisify(execFile)(process.execPath, args);
    expect(JSON.parse(stdout)).toMatchObject({ layers: 1, threads: 2 });
    expect(existsSync(join(root, 'planned'))).toBe(false);
  });

  it('stops at an interruption, says how to go on, and goes on', async () => {
    const file = writeConfig('stopped');
    const abort = new AbortController();
    const progress = {
      start() {},
      done() {},
      update: (done: number, extra?: string) => {
        if (done === 1 && extra !== undefined) abort.abort();
      },
    };
    const stopped = await runForTest(['train', file], { signal: abort.signal, progress });
    expect(stopped.exitCode).toBe(130);
    expect(stopped.err).toContain(`spatialsv train ${file} --resume`);
    const resumed = await runForTest(['train', file, '--resume', '--json']);
    expect(resumed.exitCode).toBe(0);
    expect(JSON.parse(resumed.out)).toMatchObject({ complete: true, metrics: { step: 3 } });
    expect(stepsOf('stopped')).toEqual([1, 2, 3]);
  });

  it('names the line of a misspelt key, a wrong model and an unknown source', async () => {
    const typo = await runForTest(['train', writeConfig('typo', 'batchsize: 3')]);
    expect(typo.exitCode).toBe(1);
    expect(typo.err).toMatch(/CONFIG_INVALID.*typo\.yaml:10: unknown key 'batchsize'.*'batchSize'/);
    const config = writeConfig('wrong');
    writeFileSync(config, readFileSync(config, 'utf8').replace(model, '/nowhere'));
    expect((await runForTest(['train', config])).err).toContain('error[FILE_MISSING]');
    const other = writeConfig('other');
    writeFileSync(other, readFileSync(other, 'utf8').replace('synthetic', 'synthetik'));
    expect((await runForTest(['train', other])).err).toMatch(/PLUGIN_UNKNOWN[\s\S]*synthetic/);
  });
});

describe('eval', () => {
  const args = (out: string) => [
    ...['eval', '--model', model, '--benchmark', 'mindcube', '--data', data],
    ...['--out', join(root, out), '--max-pixels', '3136', '--max-new-tokens', '2'],
  ];

  it('counts answers beside the chance lines and keeps them', async () => {
    const { exitCode, out, err } = await runForTest([...args('run'), '--json']);
    expect(exitCode).toBe(0);
    expect(JSON.parse(out)).toMatchObject({
      overall: { total: 4 },
      counts: { questions: 4, unreadable: expect.any(Number), unscored: 0 },
      accuracy: { significance: { pointsOverFrequency: expect.any(Number) } },
    });
    expect(err).toContain('revision');
    const predictions = readFileSync(join(root, 'run/predictions.jsonl'), 'utf8').trim();
    expect(predictions.split('\n')).toHaveLength(4);
    const again = await runForTest(args('run'));
    expect(again.out).toContain('most frequent letter');
    expect(again.err).toContain('the model was not asked');
    expect(again.err).toContain('revision');
    const seeded = await runForTest([...args('run'), '--seed', '5', '--json']);
    expect(JSON.parse(seeded.out)).toMatchObject({ seed: 5, chance: { seed: 5 } });
    const verified = await runForTest(['eval', 'verify', join(root, 'run'), '--json']);
    expect(JSON.parse(verified.out)).toMatchObject({ answers: 4, discrepancies: [] });
    expect(readFileSync(join(root, 'run/predictions.jsonl'), 'utf8').trim()).toBe(predictions);
  });

  it('does not count the answers of another setting, of other weights or to other questions', async () => {
    const other = await runForTest([...args('run'), '--max-new-tokens', '3']);
    expect(other.exitCode).toBe(2);
    expect(other.err).toMatch(/error\[USAGE\].*settings\.maxNewTokens was 2, is 3/);
    const rounded = await runForTest([...args('run'), '--precision', 'bfloat16']);
    expect(rounded.err).toMatch(/error\[USAGE\].*settings\.precision was .*, is "?bfloat16/);
    const size = ['--hidden-size', '32', '--layers', '4', '--attention-heads', '2'];
    const retrained = join(root, 'retrained');
    const tiny = ['tiny', '--family', 'qwen2.5-vl', '--out', retrained, '--seed', '7', ...size];
    expect((await runForTest(tiny)).exitCode).toBe(0);
    const weights = await runForTest([...args('run'), '--model', retrained]);
    expect(weights.err).toMatch(/error\[USAGE\].*weights was [0-9a-f]{64}, is [0-9a-f]{64}/);
    const template = join(model, 'chat_template.jinja');
    const chat = readFileSync(template, 'utf8');
    writeFileSync(template, `${chat}\n`);
    expect((await runForTest(args('run'))).err).toMatch(/error\[USAGE\].*prompt was/);
    writeFileSync(template, chat);
    expect((await runForTest(args('run'))).err).toContain('the model was not asked');
    const text = readFileSync(rows, 'utf8');
    writeFileSync(rows, text.replace('"question":"', '"question":"Now: '));
    const questions = await runForTest(args('run'));
    expect(questions.err).toMatch(/error\[USAGE\].*question 1 /);
    expect((await runForTest([...args('run'), '--overwrite'])).exitCode).toBe(0);
    writeFileSync(rows, text);
  });
});

describe('sweep', () => {
  const file = join(root, 'sweep.yaml');
  const writeSweep = (arms: string) => {
    const heldOut = `{ path: ${rows}, format: mindcube, prompt: plain, limit: 2 }`;
    const base = writeConfig('base', `evaluation: { data: [${heldOut}] }`);
    writeFileSync(file, `base: ${base}\nout: sweep\nseeds: [0, 1]\narms:\n${arms}`);
  };
  const ARMS = '  text: { arm: text }\n  depth: { signals: [dep], schedule: { steps: 2 } }\n';

  it('trains every arm with every seed, once, and prints the table', async () => {
    writeSweep(ARMS);
    const first = await runForTest(['sweep', file, '--json']);
    expect([first.exitCode, first.err]).toEqual([0, expect.stringContaining('Run 4 of 4')]);
    const { rows: table } = JSON.parse(first.out);
    expect(table).toMatchObject([
      { arm: 'text', seeds: 2, measures: { depthRmse: null } },
      { arm: 'depth', seeds: 2 },
    ]);
    expect(table[1].measures.depthRmse.mean).toBeGreaterThan(0);
    expect(stepsOf('sweep/text/seed-1')).toEqual([1, 2, 3]);
    expect(stepsOf('sweep/depth/seed-0')).toEqual([1, 2]);

    const again = await runForTest(['sweep', file]);
    expect(again.out).toMatch(/^arm +seeds +accuracy +depthRmse.*\ntext +2 .*\ndepth +2 /);
    expect(again.err).not.toContain('trained parameters');
  });

  it('goes on where it was stopped', async () => {
    rmSync(join(root, 'sweep/depth/seed-1'), { recursive: true, force: true });
    const { exitCode, err } = await runForTest(['sweep', file]);
    expect(exitCode).toBe(0);
    expect(err.match(/trained parameters/g)).toHaveLength(1);
  });

  it('refuses what is wrong before anything is trained', async () => {
    writeSweep('  text: { arm: texts }\n');
    const wrong = await runForTest(['sweep', file]);
    expect([wrong.exitCode, wrong.err]).toEqual([1, expect.stringContaining("arm 'text'")]);
    writeSweep('  text: { arm: text, batchSize: 2 }\n');
    const changed = await runForTest(['sweep', file]);
    expect([changed.exitCode, changed.err]).toEqual([
      1,
      expect.stringContaining('another configuration'),
    ]);
  });
});
