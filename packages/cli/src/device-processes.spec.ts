import { spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { writeDataset } from '@spatialsv/vfm-synthetic';
import { partsOf } from './device-processes.js';
import { runForTest } from './testing/test-run.js';

const MAIN = join(__dirname, '../dist/main.js');
const root = mkdtempSync(join(tmpdir(), 'devices-'));
const model = join(root, 'model');
const data = join(root, 'data');
const rows = join(data, 'raw/MindCube_tinybench.jsonl');
afterAll(() => rmSync(root, { recursive: true }));

/** A device per process is a matter of the built program. */
function run(...args: string[]) {
  const node = [...process.execArgv, MAIN];
  const { status, stdout, stderr } = spawnSync(process.execPath, [...node, ...args], {
    encoding: 'utf8',
    timeout: 300_000,
  });
  return { status, stdout, stderr };
}

describe('the command lines of the parts', () => {
  const args = ['label', '--out', 'o', '--devices=cuda:0,cuda:1', '--json', '--source', 's'];

  it('have a device and a share each, and nothing of the whole that they replace', () => {
    const parts = partsOf(args, ['cuda:0', 'cuda:1']);
    expect(parts.map((part) => part.args)).toEqual([
      ['label', '--out', 'o', '--source', 's', '--device', 'cuda:0', '--shard', '1/2', '--json'],
      ['label', '--out', 'o', '--source', 's', '--device', 'cuda:1', '--shard', '2/2', '--json'],
    ]);
  });

  it('divide a share that was asked for', () => {
    const given = [...args, '--shard', '2/3'];
    const shards = partsOf(given, ['cpu', 'cpu'], { index: 2, count: 3 }).map(({ shard }) => shard);
    // Pieces 2, 5, 8, 11, … are pieces 2, 8, … and 5, 11, … of six.
    expect(shards).toEqual([
      { index: 2, count: 6 },
      { index: 5, count: 6 },
    ]);
  });
});

describe('several devices', () => {
  beforeAll(async () => {
    if (!existsSync(MAIN)) throw new Error(`${MAIN} is missing: run \`npm run build\` first`);
    const size = ['--hidden-size', '32', '--layers', '2', '--attention-heads', '2'];
    await runForTest(['tiny', '--family', 'qwen2.5-vl', '--out', model, ...size]);
    const views = { width: 56, height: 56, views: 2, questionsPerScene: 2 };
    await writeDataset({
      ...{ folder: data, scenes: 3, seed: 1, split: 'tinybench', preface: false },
      ...views,
    });
  });

  it('label one store together', async () => {
    const what = ['--source', 'synthetic', '--data', rows, '--format', 'mindcube'];
    const one = await runForTest(['label', ...what, '--out', join(root, 'one'), '--json']);
    const two = run('label', ...what, '--out', join(root, 'two'), '--devices', 'cpu,cpu', '--json');
    expect(two).toMatchObject({ status: 0 });
    const { sets, written, views, stored } = JSON.parse(one.out);
    expect(JSON.parse(two.stdout)).toMatchObject({
      ...{ sets, written, views, stored, complete: true },
      devices: ['cpu', 'cpu'],
    });
    expect(two.stderr).toContain('[cpu 2/2]');
  });

  describe('of which one is killed at work', () => {
    const kill = join(__dirname, '__fixtures__/kill-part.mjs');
    /** The second time nobody is killed. */
    const runKilled = (name: string, ...args: string[]) => {
      const marker = join(root, `${name}-killed`);
      const { status, stdout, stderr } = spawnSync(
        process.execPath,
        [...process.execArgv, '--import', kill, MAIN, ...args, '--devices', 'cpu,cpu'],
        { encoding: 'utf8', timeout: 300_000, env: { ...process.env, KILLED: marker } },
      );
      expect(existsSync(marker)).toBe(true);
      return { status, stdout, stderr };
    };
    const expectKilled = ({ status, stdout, stderr }: ReturnType<typeof runKilled>) => {
      expect([status === 0, stdout]).toEqual([false, '']);
      expect(stderr).toMatch(/the process for cpu, share 2\/2, was ended by SIGKILL/);
      expect(stderr).toContain('Repeat the command: what was done is kept.');
    };

    it('label the rest when the command is repeated', async () => {
      const out = join(root, 'killed');
      const what = ['--source', 'synthetic', '--data', rows, '--format', 'mindcube', '--json'];
      expectKilled(runKilled('label', 'label', ...what, '--out', out));
      const lines = readFileSync(rows, 'utf8').trim().split('\n');
      const sets = new Set(lines.map((row) => JSON.stringify(JSON.parse(row).images))).size;
      const again = runKilled('label', 'label', ...what, '--out', out);
      expect(again.status).toBe(0);
      const { written, present, stored, complete } = JSON.parse(again.stdout);
      expect({ whole: written + present, stored, complete }).toEqual({
        ...{ whole: sets, stored: sets, complete: true },
      });
      // All of the first share, and of the second one the set before that over which its process was killed.
      expect(present).toBe(Math.ceil(sets / 2) + 1);
      const shown = JSON.parse((await runForTest(['labels', 'show', out, '--json'])).out);
      expect(new Set(shown.sets.map(({ key }: { key: string }) => key)).size).toBe(sets);
      expect(shown.sets).toHaveLength(sets);
      expect((await runForTest(['labels', 'verify', out])).exitCode).toBe(0);
    });

    it('answer the rest when the command is repeated', () => {
      const out = join(root, 'e-killed');
      const what = ['--model', model, '--benchmark', 'mindcube', '--data', rows, '--out', out];
      const more = ['--limit', '4', '--max-new-tokens', '2', '--json'];
      expectKilled(runKilled('eval', 'eval', ...what, ...more));
      expect(runKilled('eval', 'eval', ...what, ...more).status).toBe(0);
      const lines = readFileSync(join(out, 'predictions.jsonl'), 'utf8').trim().split('\n');
      const places = lines.map((line) => JSON.parse(line).index as number);
      expect(places.toSorted((a, b) => a - b)).toEqual([0, 1, 2, 3]);
    });
  });

  it('answer a benchmark together as one does', async () => {
    const folder = (name: string) => join(root, name);
    const what = ['--model', model, '--benchmark', 'mindcube', '--data', rows];
    const more = ['--limit', '4', '--max-new-tokens', '2', '--json'];
    const one = await runForTest(['eval', ...what, '--out', folder('e1'), ...more]);
    const two = run('eval', ...what, '--out', folder('e2'), ...more, '--devices', 'cpu,cpu');
    expect([one.exitCode, two.status]).toEqual([0, 0]);
    const answers = (name: string) =>
      readFileSync(join(folder(name), 'predictions.jsonl'), 'utf8')
        .trim()
        .split('\n')
        .map((line) => JSON.parse(line))
        .map(({ index, output }) => ({ index, output }))
        .toSorted((a, b) => a.index - b.index);
    expect(answers('e2')).toHaveLength(4);
    expect(answers('e2')).toEqual(answers('e1'));
  });

  it('say which of them failed and why', () => {
    const what = ['--model', model, '--benchmark', 'mindcube', '--data', rows, '--limit', '1'];
    const out = ['--out', join(root, 'none'), '--devices', 'nothing:1'];
    const { status, stderr } = run('eval', ...what, ...out);
    expect(status).not.toBe(0);
    expect(stderr).toMatch(
      /the process for nothing:1, share 1\/1, ended with .*DEVICE_UNAVAILABLE/,
    );
  });
});
