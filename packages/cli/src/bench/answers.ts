/** Answers of a checkpoint, ours beside those of transformers, each in a process of its own. */
import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import type { WeightPolicy } from '@spatialsv/engine';
import type { AnswerRun, AnswerSettings } from './answer-run.js';
import { median } from './measure.js';
import { runNode, runPython, warm } from './process.js';
import { pythonHas } from './python.js';

const RUN = fileURLToPath(new URL('./answer-run.js', import.meta.url));
/** `reference/bench_backbones.py` of the repository; absent in an installed package. */
const PEER = fileURLToPath(new URL('../../../../reference/bench_backbones.py', import.meta.url));
const QUESTION =
  'Which wall does the camera face, and what stands on the floor to the left of the window, near the door?';

export interface AnswerCase {
  readonly folder: string;
  /** How our runs read weights, in their order. */
  readonly policies: readonly WeightPolicy[];
  readonly views: number;
  /** The first comes out of the prompt, the others one by one. */
  readonly tokens: number;
  /** Whether a process answers twice and the second answer is timed. */
  readonly again: boolean;
  /** Medians are of so many rounds. */
  readonly rounds: number;
}

export interface Answers {
  /** By policy. */
  readonly ours: readonly AnswerRun[];
  /** Undefined where no Python with torch and transformers is found. */
  readonly peer: AnswerRun | undefined;
  /** Leading tokens that all runs have in common. */
  readonly equalTokens: number;
}

/** Whole processes by turns, each with the machine to itself. */
export async function measureAnswers(asked: AnswerCase): Promise<Answers> {
  const temporary = mkdtempSync(path.join(tmpdir(), 'spatialsv-bench-'));
  try {
    const prompt = path.join(temporary, 'prompt.safetensors');
    const rounds: Round[] = [];
    while (rounds.length < asked.rounds) rounds.push(await takeRound(asked, prompt));
    const ours = asked.policies.map((_, i) => typical(rounds.map((round) => round.ours[i]!)));
    const peers = rounds.flatMap(({ peer }) => peer ?? []);
    const peer = peers.length === asked.rounds ? typical(peers) : undefined;
    return { ours, peer, equalTokens: agreement([...ours, ...(peer ? [peer] : [])]) };
  } finally {
    rmSync(temporary, { recursive: true });
  }
}

interface Round {
  readonly ours: readonly AnswerRun[];
  readonly peer: AnswerRun | undefined;
}

async function takeRound(asked: AnswerCase, prompt: string): Promise<Round> {
  const ours: AnswerRun[] = [];
  for (const policy of asked.policies) ours.push(await runOurs(asked, policy, prompt));
  return { ours, peer: await runPeer(asked, prompt) };
}

function typical(runs: readonly AnswerRun[]): AnswerRun {
  const of = (key: 'load_s' | 'first_token_s' | 'prefill_ms' | 'token_ms' | 'peak_mb') =>
    median(runs.map((run) => run[key]));
  return {
    ...runs[0]!,
    load_s: of('load_s'),
    first_token_s: of('first_token_s'),
    prefill_ms: of('prefill_ms'),
    token_ms: of('token_ms'),
    peak_mb: of('peak_mb'),
  };
}

function agreement(runs: readonly AnswerRun[]): number {
  const differing = runs[0]!.ids.findIndex((id, i) => runs.some(({ ids }) => ids[i] !== id));
  return differing < 0 ? runs[0]!.ids.length : differing;
}

async function runOurs(
  { folder, views, tokens, again }: AnswerCase,
  policy: WeightPolicy,
  prompt: string,
): Promise<AnswerRun> {
  warm(folder);
  const settings: AnswerSettings = {
    folder,
    policy,
    views,
    tokens,
    again,
    prompt,
    question: QUESTION,
  };
  const run = await runNode<AnswerRun>(RUN, settings);
  if (run === undefined) throw new Error(`the run with weights ${policy} failed; see above`);
  return run;
}

/** @returns undefined, with a line on stderr, where no Python with torch and transformers is found. */
async function runPeer(
  { folder, tokens, again }: AnswerCase,
  prompt: string,
): Promise<AnswerRun | undefined> {
  if (!existsSync(PEER) || !pythonHas(['torch', 'transformers'])) {
    process.stderr.write('no peer: no Python with torch and transformers (SPATIALSV_PYTHON)\n');
    return undefined;
  }
  warm(folder);
  return runPython<AnswerRun>(PEER, { folder, prompt, tokens, again });
}
