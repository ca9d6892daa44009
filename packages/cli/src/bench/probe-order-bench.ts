import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { listCheckpoints } from '@spatialsv/train';
import { DEMO } from '../demo/settings.js';
import type { ControlOrder } from '../probe/control-order.js';
import type { SubjectSummary } from '../probe/summary.js';
import { createProgress } from '../progress.js';
import { runCommand } from '../run.js';
import { emit } from './measure.js';
import { cachedFolder } from './random-checkpoint.js';

/** A folder that `spatialsv demo` has written; without it the demo is run once, which takes minutes. */
const DEMO_FOLDER = 'SPATIALSV_DEMO';
const SITES = 'projector,layer:2,final';
const SEEDS = 3;
/** Sets of these rooms have one or two views. */
const STEPS = 300;

/**
 * Whether probes order their controls on the model that the demo has trained, on rooms that neither the model nor the probe has
 * seen: noise no better than a constant, the model better, the features of the labels better still.
 */
export async function benchProbeOrder(): Promise<void> {
  const demo = process.env[DEMO_FOLDER] ?? (await cachedFolder('demo', runDemo));
  const out = await mkdtemp(join(tmpdir(), 'spatialsv-bench-'));
  try {
    const data = [
      ...['--data', join(demo, 'rooms', 'raw', 'heldout.jsonl'), '--format', 'mindcube'],
    ];
    const labels = join(out, 'labels');
    await run(['label', '--source', 'synthetic', ...data, '--out', labels]);
    const model = await lastCheckpoint(join(demo, 'run'));
    await run([
      ...['probe', '--model', model, ...data, '--labels', labels, '--sites', SITES],
      ...[
        '--seeds',
        `${SEEDS}`,
        '--steps',
        `${STEPS}`,
        '--batch-size',
        '4',
        '--out',
        join(out, 'probe'),
      ],
      ...['--max-pixels', `${DEMO.imageSize ** 2}`],
    ]);
    const results = JSON.parse(await readFile(join(out, 'probe', 'results.json'), 'utf8'));
    report(results);
  } finally {
    await rm(out, { recursive: true });
  }
}

const runDemo = (folder: string): Promise<void> => run(['demo', '--out', folder]);

async function lastCheckpoint(runFolder: string): Promise<string> {
  const steps = await listCheckpoints(runFolder);
  return join(runFolder, 'checkpoints', `step-${Math.max(...steps)}`);
}

async function run(args: readonly string[]): Promise<void> {
  const code = await runCommand(args, {
    out: (text) => void process.stderr.write(text),
    err: (text) => void process.stderr.write(text),
    progress: createProgress(process.stderr),
    signal: new AbortController().signal,
    folder: process.cwd(),
  });
  if (code !== 0) throw new Error(`spatialsv ${args[0]} ended with ${code}`);
}

function report(results: {
  readonly summaries: readonly SubjectSummary[];
  readonly orders: readonly ControlOrder[];
}): void {
  for (const { subject, metrics } of results.summaries)
    emit('inspect', `probe-order ${subject}`, {
      depth_rmse: metrics['rmse']!.mean,
      depth_rmse_sd: metrics['rmse']!.sd,
      depth_abs_rel: metrics['absRel']!.mean,
      delta1: metrics['delta1']!.mean,
    });
  for (const { model: _, task, ...order } of results.orders)
    emit('inspect', `probe-order ${task}`, order);
}
