import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { setTimeout as sleep } from 'node:timers/promises';
import { createRandom, openSafetensors } from '@spatialsv/core';
import { checkpointFolder, listCheckpoints } from './checkpoint/checkpoint.js';
import type { TrainConfig } from './config/schema.js';
import { readMetrics } from './run-folder/metrics-log.js';
import { openToyBackbone } from './testing/toy-backbone.js';
import { toySource } from './testing/toy-data.js';
import { toyConfig, writeToyInputs } from './testing/toy-run.js';
import { train } from './train.js';

// A child compiles the sources and its programs first.
const REGISTER = join(__dirname, '../../engine/src/executor/__fixtures__/register.cjs');
const CHILD = join(__dirname, '__fixtures__/train-child.cjs');

let folder: string;
beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'run-crash-'));
  await writeToyInputs(folder);
});
afterAll(() => rmSync(folder, { recursive: true }));

interface Child {
  readonly process: ChildProcess;
  readonly lines: readonly string[];
  /** When it has printed so many lines or ended. */
  printed(count: number): Promise<void>;
  readonly ended: Promise<unknown>;
}

/** @param limit shell command that limits the process. */
function startChild(args: readonly unknown[], limit = 'true'): Child {
  const node = [process.execPath, ...process.execArgv, '-C', '@spatialsv/source'];
  const command = [...node, '-r', REGISTER, CHILD, ...args.map(String)];
  const shell = ['-c', `${limit}; exec "$@"`, 'bash', ...command];
  const child = spawn('bash', shell, { stdio: ['ignore', 'pipe', 'inherit'] });
  const lines: string[] = [];
  const reader = createInterface({ input: child.stdout }).on('line', (line) => lines.push(line));
  const ended = Promise.all([once(reader, 'close'), once(child, 'close')]);
  const printed = async (count: number): Promise<void> => {
    while (lines.length < count)
      if ((await Promise.race([once(reader, 'line'), ended.then(() => 'end')])) === 'end') return;
  };
  return { process: child, lines, printed, ended };
}

const savedBy = ({ lines }: Child): number[] =>
  lines.filter((line) => line.startsWith('saved ')).map((line) => Number(line.slice(6)));

/** The newest checkpoint, after a look into everything that it consists of. */
async function newestSound(config: TrainConfig): Promise<number> {
  const step = (await listCheckpoints(config.out)).at(-1)!;
  const newest = checkpointFolder(config.out, step);
  for (const file of ['model.safetensors', 'trainer/state.safetensors']) {
    const reader = await openSafetensors(join(newest, file));
    for (const name of reader.names) await reader.readFloat32(name);
  }
  expect(JSON.parse(readFileSync(join(newest, 'trainer/trainer.json'), 'utf8')).step).toBe(step);
  return step;
}

async function run(config: TrainConfig, resume = false) {
  const backbone = await openToyBackbone(config.model);
  return train(config, { backbone, source: toySource, resume });
}

const STEPS = 10_000;
/** Kills of one test run. */
const ROUNDS = Number(process.env['SPATIALSV_KILLS'] ?? 5);

const withShell = process.platform === 'win32' ? describe.skip : describe;

withShell('a run that is killed', () => {
  it('never loses what it has reported, and goes on as if nothing had happened', async () => {
    const random = createRandom(Date.now());
    const config = toyConfig(folder, 'killed', {
      checkpointEvery: 1,
      keepCheckpoints: 1,
      schedule: { steps: STEPS, warmupRatio: 0 },
    });
    let reported = 0;
    for (let round = 0; round < ROUNDS; round++) {
      const child = startChild([folder, 'killed', STEPS]);
      await child.printed(1 + random.integer(4));
      await sleep(random.uniform(0, 150));
      child.process.kill('SIGKILL');
      await child.ended;
      expect(child.process.signalCode).toBe('SIGKILL');
      // A child goes on where the one before it was stopped.
      const steps = savedBy(child);
      expect(steps[0]).toBeGreaterThan(reported);
      reported = steps.at(-1)!;
      expect(await newestSound(config)).toBeGreaterThanOrEqual(reported);
    }
    const abort = new AbortController();
    const backbone = await openToyBackbone(config.model);
    const onStep = () => abort.abort();
    const options = { backbone, source: toySource, signal: abort.signal, onStep };
    const { checkpoint } = await train(config, { ...options, resume: true });
    const total = await newestSound(config);
    expect(readdirSync(join(config.out, 'checkpoints'))).toEqual([`step-${total}`]);
    const metrics = await readMetrics(config.out);
    expect(metrics.map(({ step }) => step)).toEqual(Array.from({ length: total }, (_, i) => i + 1));

    const straight = { ...config, out: join(folder, 'straight'), checkpointEvery: 0 };
    const stop = new AbortController();
    const until = ({ step }: { readonly step: number }) => step === total && stop.abort();
    const whole = { backbone, source: toySource, signal: stop.signal, onStep: until };
    const { checkpoint: expected } = await train(straight, whole);
    const state = (name: string) => readFileSync(join(name, 'trainer/state.safetensors'));
    expect(state(checkpoint).equals(state(expected))).toBe(true);
  });
});

withShell('a disk that is full', () => {
  const configure = (inputs: string) =>
    toyConfig(inputs, 'full', {
      checkpointEvery: 1,
      keepCheckpoints: 1,
      schedule: { steps: 6, warmupRatio: 0 },
    });

  async function expectIntact(child: Child, config: TrainConfig, code: string) {
    await child.ended;
    expect(savedBy(child)).toEqual([1, 2]);
    const error = JSON.parse(child.lines.at(-1)!);
    expect(error.code).toBe(code);
    expect(error.message).toContain('saving step 3');
    expect(error.message).toContain(`the last checkpoint is ${checkpointFolder(config.out, 2)}`);
    expect(readdirSync(join(config.out, 'checkpoints'))).toEqual(['step-2']);
    expect(readdirSync(config.out)).not.toContain('run.lock');
    expect(await newestSound(config)).toBe(2);
    expect((await run(config, true)).complete).toBe(true);
  }

  it('ends the run with the error, and leaves the checkpoint before it', async () => {
    // A limit on the size of files does to one process what a full disk does to all.
    const child = startChild([folder, 'full', 6, 3], 'ulimit -f 2000');
    await expectIntact(child, configure(folder), 'EFBIG');
  });

  it('of a few megabytes likewise', async () => {
    const disk = mkdtempSync(join(tmpdir(), 'run-disk-'));
    if (spawnSync('mount', ['-t', 'tmpfs', '-o', 'size=3m', 'tmpfs', disk]).status !== 0) {
      rmSync(disk, { recursive: true });
      console.warn('skipped: this user may not mount a small disk');
      return;
    }
    try {
      await writeToyInputs(disk);
      await expectIntact(startChild([disk, 'full', 6, 3]), configure(disk), 'ENOSPC');
    } finally {
      spawnSync('umount', [disk]);
      rmSync(disk, { recursive: true });
    }
  });
});

(process.platform === 'linux' ? describe : describe.skip)('memory that is short', () => {
  it('is an error that names the sample and the setting', async () => {
    const large = mkdtempSync(join(tmpdir(), 'run-memory-'));
    try {
      await writeToyInputs(large);
      const data = join(large, 'data.jsonl');
      const [line] = readFileSync(data, 'utf8').split('\n');
      // The scores of its attention take 2 GB.
      const long = { ...JSON.parse(line!), id: 'long', question: 'x'.repeat(16_000) };
      writeFileSync(data, JSON.stringify(long));
      const child = startChild([large, 'memory', 2], 'ulimit -d 3500000');
      await child.ended;
      const error = JSON.parse(child.lines.at(-1)!);
      expect(error.code).toBe('OUT_OF_MEMORY');
      expect(error.message).toMatch(/step 1: no memory for sample 'long' \(\d+ tokens, 2 views\)/);
      expect(error.hint).toContain('recompute: layer');
    } finally {
      rmSync(large, { recursive: true });
    }
  });
});

withShell('Ctrl-C during a save', () => {
  const configure = (out: string) =>
    toyConfig(folder, out, {
      checkpointEvery: 1,
      keepCheckpoints: 1,
      schedule: { steps: STEPS, warmupRatio: 0 },
    });

  it.each([
    ['once', 1, [1, 2]],
    ['twice', 2, [1]],
  ] as const)('%s leaves a run that goes on', async (name, times, saved) => {
    const config = configure(name);
    // Its lines are `saved 1`, `saving`, and `interrupted` for each time.
    const child = startChild([folder, name, STEPS, 'Infinity', times]);
    for (let time = 0; time < times; time++) {
      await child.printed(2 + time);
      child.process.kill('SIGINT');
    }
    await child.ended;
    expect(child.process.exitCode).toBe(times === 1 ? 0 : 130);
    expect(savedBy(child)).toEqual(saved);
    expect(await newestSound(config)).toBe(saved.at(-1));
    const abort = new AbortController();
    const backbone = await openToyBackbone(config.model);
    const onStep = () => abort.abort();
    const options = { backbone, source: toySource, signal: abort.signal, onStep };
    await train(config, { ...options, resume: true });
    expect(await newestSound(config)).toBe(saved.at(-1)! + 1);
  });
});
