import type { Clocks } from './clocks.js';

/** Runs of each way, one way after the other, so that all meet the same moments of the machine. */
export interface TurnTimes {
  /** Fastest run of each way, ms. */
  readonly ms: Readonly<Record<string, number>>;
  /** Turns in which no run was disturbed. */
  readonly turns: number;
}

/** A process measures one size so often. */
const MOST_TURNS = 6;
/** Share of the processor time that a run may miss, and what it misses at its start and end however long it is, ms. */
const MISSED_SHARE = 0.05;
const MISSED_MS = 0.05;

interface Run {
  readonly way: string;
  readonly ms: number;
  readonly isDisturbed: boolean;
}

/**
 * Runs every way once to allocate, then all of them turn by turn, at least once.
 * @param end begins no further turn after it, in ms of `clocks.now`.
 */
export async function timeInTurns(
  ways: ReadonlyMap<string, () => Promise<void>>,
  clocks: Clocks,
  end: number,
): Promise<TurnTimes> {
  for (const run of ways.values()) await run();
  const turns: Run[][] = [];
  do {
    const turn: Run[] = [];
    for (const [way, run] of ways) turn.push({ way, ...(await timed(run, clocks)) });
    turns.push(turn);
  } while (turns.length < MOST_TURNS && clocks.now() < end);
  const undisturbed = turns.filter((turn) => !turn.some(({ isDisturbed }) => isDisturbed));
  return { ms: fastestRuns(turns), turns: undisturbed.length };
}

/**
 * Threads of ONNX Runtime work or spin while a program runs and shortly after, so that all of them get the processor all the
 * time: where they did not, another process had it.
 */
async function timed(run: () => Promise<void>, clocks: Clocks): Promise<Omit<Run, 'way'>> {
  const before = clocks.processorTime();
  const started = clocks.now();
  await run();
  const ms = clocks.now() - started;
  const after = clocks.processorTime();
  if (before === undefined || after === undefined) return { ms, isDisturbed: false };
  const missed = ms * clocks.threads - (after - before);
  return { ms, isDisturbed: missed > MISSED_SHARE * ms * clocks.threads + MISSED_MS };
}

function fastestRuns(turns: readonly (readonly Run[])[]): Record<string, number> {
  const ms: Record<string, number> = {};
  for (const { way, ms: time } of turns.flat()) ms[way] = Math.min(ms[way] ?? time, time);
  return ms;
}
