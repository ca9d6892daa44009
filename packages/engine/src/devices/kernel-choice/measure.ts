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
}

/** A block size that was tried, and whether it gave what plain operators give. */
export interface TriedBlock {
  readonly block: number;
  readonly equal: boolean;
}

/** After so long nothing further is measured; what was not reached takes what the nearest size took. */
const BUDGET_MS = 200;
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

/** Measures every kind at every size, as far as the time allows: the first size of each kind, then the second, … */
export async function measureKernels(
  trials: readonly KernelTrial[],
  block: number | undefined,
): Promise<MeasuredKernel[]> {
  const end = performance.now() + BUDGET_MS;
  const measured: MeasuredKernel[] = [];
  for (const [trial, size] of inTurns(trials)) {
    if (performance.now() >= end) break;
    measured.push(await measureSize(trial, size, block));
  }
  return measured;
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
    return { kind: trial.kind, size, chosen: fastest(equal, ms, reference), ms, equal };
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
