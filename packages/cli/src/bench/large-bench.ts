import { spawnSync } from 'node:child_process';
import {
  closeSync,
  existsSync,
  mkdtempSync,
  openSync,
  readSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { LARGE_SIZES, largeCheckpoint } from './large-checkpoint.js';
import { largeImage, portablePixmap } from './large-image.js';
import type { LargeRun, LargeRunSettings } from './large-run.js';
import { emit, median } from './measure.js';
import { python, pythonHas } from './python.js';

const BENCH = 'large';
const RUN = fileURLToPath(new URL('./large-run.js', import.meta.url));
/** `reference/bench_large.py` of the repository; absent in an installed package. */
const PEER = fileURLToPath(new URL('../../../../reference/bench_large.py', import.meta.url));
const QUESTION =
  'Which wall does the camera face, and what stands on the floor to the left of the window, near the door?';
/** The first comes out of the prompt, the others one by one. */
const TOKENS = 9;
const POLICIES = ['mapped', 'float32'] as const;
type Policy = (typeof POLICIES)[number];

/** Cases of `npm run bench -- large`. The first one is what runs without a name. */
export const LARGE_CASES: Readonly<Record<string, () => Promise<void>>> = Object.fromEntries(
  Object.entries(LARGE_SIZES).map(([name, size]) => [
    name,
    async () => measure(name, await largeCheckpoint(name, size)),
  ]),
);

interface Figures {
  readonly ours: Readonly<Record<Policy, LargeRun>>;
  readonly peer: LargeRun | undefined;
}

/** Whole processes by turns, each with the machine to itself. */
function measure(name: string, folder: string): void {
  const rounds = name === 'large-3b' ? 1 : 3;
  const runs = Array.from({ length: rounds }, () => {
    const ours = POLICIES.map((policy) => runOurs(folder, policy));
    return { ours, peer: runPeer(folder, ours[0]!.prompt_ids!) };
  });
  const [mapped, float32] = POLICIES.map((_, i) => typical(runs.map(({ ours }) => ours[i]!)));
  const peers = runs.flatMap(({ peer }) => peer ?? []);
  const peer = peers.length === rounds ? typical(peers) : undefined;
  report(name, { ours: { mapped: mapped!, float32: float32! }, peer });
}

function typical(runs: readonly LargeRun[]): LargeRun {
  const of = (key: 'load_s' | 'prefill_ms' | 'token_ms' | 'peak_mb') =>
    median(runs.map((run) => run[key]));
  return {
    ...runs[0]!,
    load_s: of('load_s'),
    prefill_ms: of('prefill_ms'),
    token_ms: of('token_ms'),
    peak_mb: of('peak_mb'),
  };
}

/** Ratios are ours / peer's; that of the prefill is the one of the slower policy. */
function report(name: string, { ours: { mapped, float32 }, peer }: Figures): void {
  const ratio = (ours: number, theirs: number | undefined) =>
    theirs === undefined ? null : ours / theirs;
  const prefill = Math.max(mapped.prefill_ms, float32.prefill_ms);
  emit(BENCH, name, {
    prefill_ratio: ratio(prefill, peer?.prefill_ms),
    token_ratio_float32: ratio(float32.token_ms, peer?.token_ms),
    token_ms_mapped: mapped.token_ms,
    peak_ratio_mapped: ratio(mapped.peak_mb, peer?.peak_mb),
    peak_ratio_float32: ratio(float32.peak_mb, peer?.peak_mb),
    prompt_tokens: mapped.prompt_ids!.length,
    prefill_ms_mapped: mapped.prefill_ms,
    prefill_ms_float32: float32.prefill_ms,
    token_ms_float32: float32.token_ms,
    peak_mb_mapped: mapped.peak_mb,
    peak_mb_float32: float32.peak_mb,
    load_s_mapped: mapped.load_s,
    load_s_float32: float32.load_s,
    first_program_s: Math.max(mapped.first_program_s!, float32.first_program_s!),
    peer_prefill_ms: peer?.prefill_ms ?? null,
    peer_token_ms: peer?.token_ms ?? null,
    peer_peak_mb: peer?.peak_mb ?? null,
    peer_load_s: peer?.load_s ?? null,
    tokens: TOKENS,
    equal_tokens: agreement([mapped, float32, ...(peer ? [peer] : [])]),
  });
}

/** Leading tokens that all runs have in common. */
function agreement(runs: readonly LargeRun[]): number {
  const differing = runs[0]!.ids.findIndex((id, i) => runs.some(({ ids }) => ids[i] !== id));
  return differing < 0 ? runs[0]!.ids.length : differing;
}

/** Brings the weights into the system's cache, as far as memory allows: disks differ, and are not what is measured. */
function warm(folder: string): void {
  const descriptor = openSync(path.join(folder, 'model.safetensors'), 'r');
  const piece = new Uint8Array(2 ** 24);
  while (readSync(descriptor, piece) > 0);
  closeSync(descriptor);
}

function runOurs(folder: string, policy: Policy): LargeRun {
  warm(folder);
  const settings: LargeRunSettings = { folder, policy, question: QUESTION, tokens: TOKENS };
  const run = runProcess(process.execPath, [RUN, JSON.stringify(settings)]);
  if (run === undefined) throw new Error(`the run with weights ${policy} failed; see above`);
  return run;
}

/** @returns undefined, with a line on stderr, where no Python with torch and transformers is found. */
function runPeer(folder: string, ids: readonly number[]): LargeRun | undefined {
  if (!existsSync(PEER) || !pythonHas(['torch', 'transformers'])) {
    process.stderr.write('no peer: no Python with torch and transformers (SPATIALSV_PYTHON)\n');
    return undefined;
  }
  warm(folder);
  const temporary = mkdtempSync(path.join(tmpdir(), 'spatialsv-bench-'));
  try {
    const image = path.join(temporary, 'image.ppm');
    writeFileSync(image, portablePixmap(largeImage()));
    const settings = JSON.stringify({ folder, image, ids, tokens: TOKENS });
    return runProcess(python(), [PEER, settings]);
  } finally {
    rmSync(temporary, { recursive: true });
  }
}

/** The last line that a process prints, as JSON. */
function runProcess(command: string, parameters: readonly string[]): LargeRun | undefined {
  const stdio = ['ignore', 'pipe', 'inherit'] as const;
  const { status, stdout } = spawnSync(command, parameters, {
    stdio: [...stdio],
    encoding: 'utf8',
  });
  if (status !== 0) return undefined;
  return JSON.parse(stdout.trim().split('\n').at(-1)!) as LargeRun;
}
