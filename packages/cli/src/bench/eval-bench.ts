import { spawnSync } from 'node:child_process';
import { appendFileSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { qwen25Vl } from '@spatialsv/adapter-qwen25vl';
import { PREDICTIONS_FILE, questionKeys, scoreAnswer, scoredQuestion } from '@spatialsv/eval';
import { composePlugins } from '../composition.js';
import { tokenizerFolder } from './backbones-bench.js';
import {
  questionsOf,
  type RoomsSize,
  readAll,
  writeRooms,
  writeRows,
  writeTable,
} from './eval-data.js';
import type { EvalRun } from './eval-run.js';
import { largeCheckpoint, type QwenSize, qwenOfSize } from './large-checkpoint.js';
import { emit, median, peakRssMb, rssMb } from './measure.js';
import { runNode, runPython, warm } from './process.js';
import { pythonHas } from './python.js';
import { cachedFolder } from './random-checkpoint.js';

const BENCH = 'eval';
const RUN = fileURLToPath(new URL('./eval-run.js', import.meta.url));
const MAIN = fileURLToPath(new URL('../main.js', import.meta.url));
/** `reference/bench_eval.py` of the repository; absent in an installed package. */
const PEER = fileURLToPath(new URL('../../../../reference/bench_eval.py', import.meta.url));

/** With `SPATIALSV_BENCH_SMALL=1` everything is so small that a figure means nothing: to try the bench itself. */
const isSmall = process.env['SPATIALSV_BENCH_SMALL'] === '1';

/** Tokens of an answer: a random model does not end its turn. */
const TOKENS = 16;
const VIEWS = 4;
const SIDE = isSmall ? 28 : 336;

/** Cases of `npm run bench -- eval`. */
export const EVAL_CASES: Readonly<Record<string, () => Promise<void>>> = {
  shared: () => measureAnswers('shared', { scenes: isSmall ? 1 : 2, questionsPerScene: 5 }),
  single: () => measureAnswers('single', { scenes: isSmall ? 2 : 8, questionsPerScene: 1 }),
  rows: measureRows,
  table: measureTable,
  repeat: measureRepeat,
};

async function inTemporary<Result>(work: (folder: string) => Promise<Result>): Promise<Result> {
  const folder = mkdtempSync(path.join(tmpdir(), 'spatialsv-bench-'));
  try {
    return await work(folder);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/** Qwen2.5-VL with 480 million weights. */
const SIZE: QwenSize = {
  hidden_size: 1024,
  intermediate_size: 3072,
  num_hidden_layers: 24,
  num_attention_heads: 16,
  num_key_value_heads: 4,
  vocab_size: 151936,
  mrope_section: [8, 12, 12],
  vision: {
    depth: 8,
    hidden_size: 640,
    intermediate_size: 1712,
    num_heads: 10,
    window_size: 112,
    fullatt_block_indexes: [3, 7],
  },
};

/** In bfloat16, with the published tokenizer where its package is installed. */
function checkpoint(): Promise<string> {
  const tokenizer = tokenizerFolder('tokenizer-qwen2_5');
  if (!isSmall)
    return largeCheckpoint('eval-480m', {
      ...qwenOfSize(SIZE),
      ...(tokenizer !== undefined && { tokenizer }),
    });
  return cachedFolder('eval-small', (folder) =>
    qwen25Vl.writeTiny({ folder, seed: 1, hiddenSize: 64, layers: 4, heads: 4 }),
  );
}

interface PeerRun extends EvalRun {
  readonly prompt_tokens: number;
  readonly texts: readonly string[];
}

/** Answers a second, ours and those of transformers, each in a process of its own. */
async function measureAnswers(
  name: 'shared' | 'single',
  size: Pick<RoomsSize, 'scenes' | 'questionsPerScene'>,
): Promise<void> {
  const folder = await checkpoint();
  await inTemporary(async (temporary) => {
    const { data, list, count } = await writeRooms(temporary, {
      ...size,
      views: VIEWS,
      side: SIDE,
    });
    const out = path.join(temporary, 'run');
    const options = ['--variant', 'plain', '--max-new-tokens', String(TOKENS), '--out', out];
    const args = ['eval', '--model', folder, '--benchmark', 'mindcube', '--data', data, ...options];
    warm(folder);
    const ours = await runNode<EvalRun>(RUN, args);
    if (ours === undefined) throw new Error('our run failed; see above');
    warm(folder);
    const peer = await runPeer({ folder, questions: list, tokens: TOKENS });
    const perSecond = (run: EvalRun) => count / run.answering_s;
    emit(BENCH, name, {
      [`answers_ratio_${name}`]: peer === undefined ? null : perSecond(ours) / perSecond(peer),
      answers_per_s: perSecond(ours),
      peer_answers_per_s: peer === undefined ? null : perSecond(peer),
      loop_p99_ms: ours.loop_p99_ms!,
      load_s: ours.load_s,
      peer_load_s: peer?.load_s ?? null,
      peak_mb: ours.peak_mb,
      peer_peak_mb: peer?.peak_mb ?? null,
      questions: count,
      equal_answers: peer === undefined ? null : equalAnswers(out, peer.texts),
      prompt_tokens: peer?.prompt_tokens ?? null,
      tokens: TOKENS,
    });
  });
}

/** @returns undefined, with a line on stderr, where no Python with torch and transformers is found. */
async function runPeer(settings: object): Promise<PeerRun | undefined> {
  if (!pythonHas(['torch', 'transformers', 'PIL'])) {
    process.stderr.write('no peer: no Python with torch and transformers (SPATIALSV_PYTHON)\n');
    return undefined;
  }
  return runPython<PeerRun>(PEER, settings);
}

function equalAnswers(run: string, texts: readonly string[]): number {
  const lines = readFileSync(path.join(run, PREDICTIONS_FILE), 'utf8').trim().split('\n');
  const ours = lines.map((line) => (JSON.parse(line) as { readonly raw: string }).raw);
  return ours.filter((text, i) => text === texts[i]).length;
}

/** How fast rows of a JSON Lines file become questions. */
async function measureRows(): Promise<void> {
  const count = isSmall ? 1000 : 100_000;
  await inTemporary(async (folder) => {
    const { data } = await writeRooms(folder, {
      scenes: 5,
      views: 2,
      questionsPerScene: 4,
      side: 28,
    });
    const file = path.join(data, 'raw/rows.jsonl');
    await writeRows(data, file, count);
    const seconds: number[] = [];
    for (let round = 0; round < 4; round += 1) {
      const started = performance.now();
      let read = 0;
      for await (const _ of await questionsOf('mindcube', 'official', file)) read += 1;
      if (read !== count) throw new Error(`read ${read} rows of ${count}`);
      if (round > 0) seconds.push((performance.now() - started) / 1000);
    }
    emit(BENCH, 'rows', {
      rows_per_second: count / median(seconds),
      rows: count,
      peak_mb: peakRssMb(),
    });
  });
}

/** Memory while a table of a gigabyte is read. */
async function measureTable(): Promise<void> {
  const bytes = isSmall ? 2 ** 22 : 2 ** 30;
  await inTemporary(async (folder) => {
    const rows = await writeTable(folder, bytes);
    const before = rssMb();
    const started = performance.now();
    let read = 0;
    let most = 0;
    for await (const _ of await questionsOf('mmbench', 'vanilla', folder)) {
      read += 1;
      most = Math.max(most, rssMb());
    }
    if (read !== rows) throw new Error(`read ${read} rows of ${rows}`);
    emit(BENCH, 'table', {
      table_mb: bytes / 2 ** 20,
      grown_mb: most - before,
      peak_mb: most,
      seconds: (performance.now() - started) / 1000,
      rows,
    });
  });
}

/** A finished evaluation again: nothing is asked. */
async function measureRepeat(): Promise<void> {
  const count = isSmall ? 50 : 5000;
  const folder = await checkpoint();
  await inTemporary(async (temporary) => {
    const rooms = { scenes: isSmall ? 5 : 100, views: VIEWS, questionsPerScene: 4, side: 28 };
    const { data } = await writeRooms(temporary, rooms);
    const file = path.join(data, 'raw/rows.jsonl');
    await writeRows(data, file, count);
    const out = path.join(temporary, 'run');
    const args = ['eval', '--model', folder, '--benchmark', 'mindcube', '--data', file];
    const options = ['--max-new-tokens', '1', '--out', out];
    // One question is asked, so that the folder knows what its answers depend on; the others are filled in.
    if (runMain([...args, ...options, '--limit', '1']) === undefined)
      throw new Error('eval failed');
    await fillIn(file, path.join(out, PREDICTIONS_FILE));
    const seconds = Array.from({ length: 4 }, () => runMain([...args, ...options]));
    emit(BENCH, 'repeat', {
      repeat_seconds: median(seconds.slice(1).map((each) => each ?? Number.NaN)),
      questions: count,
    });
  });
}

/** @returns seconds of the whole process; undefined where it fails. */
function runMain(args: readonly string[]): number | undefined {
  const started = performance.now();
  const { status } = spawnSync(process.execPath, [MAIN, ...args], {
    stdio: ['ignore', 'ignore', 'inherit'],
  });
  return status === 0 ? (performance.now() - started) / 1000 : undefined;
}

/** Answers to all questions but the first. */
async function fillIn(file: string, log: string): Promise<void> {
  const questions = await readAll('mindcube', 'official', file);
  const keys = await questionKeys(questions);
  const benchmark = (await composePlugins(process.cwd())).resolveBenchmark('mindcube');
  const lines = questions.map((question, index) => {
    const raw = 'A';
    const scored = scoreAnswer({ benchmark, variant: 'official' }, scoredQuestion(question), raw);
    return `${JSON.stringify({ index, key: keys[index]!.key, raw, ...scored })}\n`;
  });
  appendFileSync(log, lines.slice(1).join(''));
}
