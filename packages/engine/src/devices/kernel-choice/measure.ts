import type { KernelSize } from '../../graph/choice.js';
import { BLOCK_SIZES, BLOCKED } from '../../graph/choice.js';
import type { Graph } from '../../graph/graph.js';
import type { Clocks } from './clocks.js';
import { timeInTurns } from './in-turns.js';
import { aged, fastest, isDue, isOf, isSettled, type MeasuredKernel, together } from './rounds.js';
import { areEqual, type PreparedGraph, prepareGraph } from './run-graph.js';
import type { KernelTrial } from './trials.js';
import { witnessGraph } from './trials.js';

/** A block size that was tried, and whether it gave what plain operators give. */
export interface TriedBlock {
  readonly block: number;
  readonly equal: boolean;
}

/** One size ends its repetitions after so long, ms. */
const SIZE_MS = 25;

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
const prepareIfPossible = (graph: Graph, rests?: true): Promise<PreparedGraph | undefined> =>
  prepareGraph(graph, rests).catch(() => undefined);

/** How a process measures. */
export interface Measuring {
  readonly clocks: Clocks;
  /** Begins nothing that would end after it, ms of `clocks.now`. */
  readonly end: number;
  readonly measure?: typeof measureSize;
}

/**
 * Measures once more what was measured least, as far as the time allows: the first size of each kind, then the second, …
 * @param known what earlier processes measured. @returns all of it; equal to `known` where nothing is due.
 */
export async function measureKernels(
  trials: readonly KernelTrial[],
  block: number | undefined,
  known: readonly MeasuredKernel[],
  { clocks, end, measure = measureSize }: Measuring,
): Promise<MeasuredKernel[]> {
  const date = clocks.date();
  const measured = known.map((kernel) => aged(kernel, date));
  const took: number[] = [];
  for (const { trial, size, index } of due(trials, measured)) {
    const started = clocks.now();
    // The first one is measured whatever is left of the time: on a slow machine nothing ever would be otherwise.
    const expected = measured[index]?.tookMs ?? mean(took);
    if (took.length > 0 && started + expected > end) continue;
    const now = await measure(trial, size, block, { clocks, end });
    took.push(now.tookMs);
    if (index < 0) measured.push(now);
    else measured[index] = together(measured[index]!, now, trial.candidates[0]!);
  }
  return measured;
}

const mean = (numbers: readonly number[]): number =>
  numbers.reduce((sum, number) => sum + number, 0) / Math.max(1, numbers.length);

/** What another process is to measure, least measured first. */
function due(trials: readonly KernelTrial[], known: readonly MeasuredKernel[]) {
  const sizes = inTurns(trials).map(([trial, size]) => {
    const index = known.findIndex((kernel) => isOf(kernel, trial.kind, size));
    return { trial, size, index, rounds: known[index]?.rounds ?? 0 };
  });
  return sizes
    .filter(({ index }) => index < 0 || isDue(known[index]!))
    .toSorted((a, b) => a.rounds - b.rounds);
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
  { clocks, end }: Pick<Measuring, 'clocks' | 'end'>,
): Promise<MeasuredKernel> {
  const started = clocks.now();
  const [reference] = trial.candidates as [string];
  const prepared = new Map<string, PreparedGraph>();
  try {
    for (const candidate of possible(trial, block)) {
      const graph = await prepareIfPossible(trial.write(candidate, size, block), trial.rests);
      if (graph !== undefined) prepared.set(candidate, graph);
    }
    const until = Math.min(end, clocks.now() + SIZE_MS);
    const { ms, turns } = await timeInTurns(prepared, clocks, until);
    const equal = equalWays(prepared, reference);
    const chosen = fastest(equal, ms, reference, isSettled({ ms, turns }));
    const when = { since: clocks.date(), tookMs: clocks.now() - started };
    return { kind: trial.kind, size, chosen, ms, equal, turns, rounds: 1, ...when };
  } finally {
    for (const graph of prepared.values()) graph.dispose();
  }
}

function equalWays(prepared: ReadonlyMap<string, PreparedGraph>, reference: string): string[] {
  const expected = prepared.get(reference)!.results;
  return [...prepared].flatMap(([way, { results }]) => (areEqual(results, expected) ? [way] : []));
}

/** Without a layout on this processor nothing is written in it. */
const possible = ({ candidates }: KernelTrial, block: number | undefined): readonly string[] =>
  block === undefined ? candidates.filter((candidate) => candidate !== BLOCKED) : candidates;
