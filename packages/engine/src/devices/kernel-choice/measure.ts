import type { KernelSize } from '../../graph/choice.js';
import { BLOCK_SIZES, BLOCKED } from '../../graph/choice.js';
import type { Graph } from '../../graph/graph.js';
import { areEqual, type PreparedGraph, prepareGraph } from './run-graph.js';
import type { KernelTrial } from './trials.js';
import { witnessGraph } from './trials.js';

/** What a kind is written as at one size, and why. */
export interface MeasuredKernel {
  readonly kind: string;
  readonly size: KernelSize;
  readonly chosen: string;
  /** Fastest run of each way, ms. A way that this build of ONNX Runtime refuses has none. */
  readonly ms: Readonly<Record<string, number>>;
  /** Ways that give what the reference gives. */
  readonly equal: readonly string[];
  /** Processes that have measured this size. */
  readonly rounds: number;
}

/** A block size that was tried, and whether it gave what plain operators give. */
export interface TriedBlock {
  readonly block: number;
  readonly equal: boolean;
}

/** After so long a process measures nothing further. What no process has reached takes what the nearest size took. */
const BUDGET_MS = 200;
/** Processes that measure a size: the first one may meet a busy moment. */
const ROUNDS = 3;
/** One size ends its repetitions after so long. */
const SIZE_MS = 12;
const MOST_RUNS = 6;
/** Another way has to win by more than repetitions differ by. */
const CLEARLY = 0.97;

/** Tries block sizes, one after the other, until one gives what plain operators give. */
export async function findBlock(
  candidates: readonly number[] = BLOCK_SIZES,
): Promise<{ readonly block: number | undefined; readonly tried: readonly TriedBlock[] }> {
  const plain = await prepareGraph(witnessGraph(undefined));
  try {
    await plain.run();
    const tried: TriedBlock[] = [];
    for (const block of candidates) {
      const equal = await agrees(block, plain.results);
      tried.push({ block, equal });
      if (equal) return { block, tried };
    }
    return { block: undefined, tried };
  } finally {
    plain.dispose();
  }
}

async function agrees(block: number, expected: readonly Float32Array[]): Promise<boolean> {
  const prepared = await prepareIfPossible(witnessGraph(block));
  if (prepared === undefined) return false;
  try {
    await prepared.run();
    return areEqual(prepared.results, expected);
  } finally {
    prepared.dispose();
  }
}

/** Undefined where this build of ONNX Runtime refuses the operators. */
const prepareIfPossible = (graph: Graph): Promise<PreparedGraph | undefined> =>
  prepareGraph(graph).catch(() => undefined);

/**
 * Measures once more what was measured least, as far as the time allows: the first size of each kind, then the second, …
 * @param known what earlier processes measured. @param budgetMs begins nothing after it. @returns all of it; equal to `known` where every size has its rounds.
 */
export async function measureKernels(
  trials: readonly KernelTrial[],
  block: number | undefined,
  known: readonly MeasuredKernel[] = [],
  budgetMs = BUDGET_MS,
): Promise<MeasuredKernel[]> {
  const end = performance.now() + budgetMs;
  const measured = [...known];
  for (const { trial, size, index } of pending(trials, known)) {
    if (performance.now() >= end) break;
    const now = await measureSize(trial, size, block);
    if (index < 0) measured.push(now);
    else measured[index] = together(measured[index]!, now, trial.candidates[0]!);
  }
  return measured;
}

/** What has not had all of its rounds, least measured first. */
function pending(trials: readonly KernelTrial[], known: readonly MeasuredKernel[]) {
  const sizes = inTurns(trials).map(([trial, size]) => {
    const index = known.findIndex((kernel) => isOf(kernel, trial.kind, size));
    return { trial, size, index, rounds: known[index]?.rounds ?? 0 };
  });
  return sizes.filter(({ rounds }) => rounds < ROUNDS).toSorted((a, b) => a.rounds - b.rounds);
}

const isOf = (kernel: MeasuredKernel, kind: string, { rows, channels }: KernelSize): boolean =>
  kernel.kind === kind && kernel.size.rows === rows && kernel.size.channels === channels;

/** Two measurements of one size: the fastest runs of both, and what was equal in both. */
function together(a: MeasuredKernel, b: MeasuredKernel, reference: string): MeasuredKernel {
  const equal = a.equal.filter((way) => b.equal.includes(way));
  const ms = Object.fromEntries(equal.map((way) => [way, Math.min(a.ms[way]!, b.ms[way]!)]));
  const { kind, size } = a;
  const rounds = a.rounds + b.rounds;
  return { kind, size, chosen: fastest(equal, ms, reference), ms, equal, rounds };
}

function inTurns(trials: readonly KernelTrial[]): [KernelTrial, KernelSize][] {
  const most = Math.max(0, ...trials.map(({ sizes }) => sizes.length));
  return Array.from({ length: most }, (_, turn) =>
    trials.flatMap((trial): [KernelTrial, KernelSize][] =>
      turn < trial.sizes.length ? [[trial, trial.sizes[turn]!]] : [],
    ),
  ).flat();
}

/** Each way of writing a kind at one size: prepared, checked against the reference, and timed in turns. */
export async function measureSize(
  trial: KernelTrial,
  size: KernelSize,
  block: number | undefined,
): Promise<MeasuredKernel> {
  const [reference] = trial.candidates as [string];
  const prepared = new Map<string, PreparedGraph>();
  try {
    for (const candidate of possible(trial, block)) {
      const graph = await prepareIfPossible(trial.write(candidate, size, block));
      if (graph !== undefined) prepared.set(candidate, graph);
    }
    const ms = await fastestRuns(prepared);
    const expected = prepared.get(reference)!.results;
    const equal = [...prepared.keys()].filter((name) =>
      areEqual(prepared.get(name)!.results, expected),
    );
    const chosen = fastest(equal, ms, reference);
    return { kind: trial.kind, size, chosen, ms, equal, rounds: 1 };
  } finally {
    for (const graph of prepared.values()) graph.dispose();
  }
}

/** Without a layout on this processor nothing is written in it. */
const possible = ({ candidates }: KernelTrial, block: number | undefined): readonly string[] =>
  block === undefined ? candidates.filter((candidate) => candidate !== BLOCKED) : candidates;

/** The fastest of ways that are equal to the reference, which stays where none is clearly faster. */
export function fastest(
  equal: readonly string[],
  ms: Readonly<Record<string, number>>,
  reference: string,
): string {
  const best = equal.toSorted((a, b) => ms[a]! - ms[b]!)[0] ?? reference;
  return ms[best]! < CLEARLY * ms[reference]! ? best : reference;
}

/** The first run of each allocates and counts only where there is no time for a second. */
async function fastestRuns(
  prepared: ReadonlyMap<string, PreparedGraph>,
): Promise<Record<string, number>> {
  const ms: Record<string, number> = {};
  for (const [name, graph] of prepared) ms[name] = await graph.run();
  const end = performance.now() + SIZE_MS;
  for (let run = 0; run < MOST_RUNS && performance.now() < end; run += 1) {
    for (const [name, graph] of prepared) ms[name] = Math.min(ms[name]!, await graph.run());
  }
  return ms;
}
