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

/** What is timed. */
interface Way {
  run(): Promise<void>;
  /** That work or spin all the time while it runs; all of the clocks' where absent. */
  readonly threads?: number;
}

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
  ways: ReadonlyMap<string, Way>,
  clocks: Clocks,
  end: number,
): Promise<TurnTimes> {
  for (const { run } of ways.values()) await run();
  const turns: Run[][] = [];
  do {
    const turn: Run[] = [];
    for (const [name, way] of ways) turn.push({ way: name, ...(await timed(way, clocks)) });
    turns.push(turn);
  } while (turns.length < MOST_TURNS && clocks.now() < end);
  const undisturbed = turns.filter((turn) => !turn.some(({ isDisturbed }) => isDisturbed));
  return { ms: fastestRuns(turns), turns: undisturbed.length };
}

/**
 * The threads of a program work or spin while it runs, so that all of them get the processor all the time: where they did not,
 * another process had it.
 */
async function timed({ run, threads }: Way, clocks: Clocks): Promise<Omit<Run, 'way'>> {
  const before = clocks.processorTime();
  const started = clocks.now();
  await run();
  const ms = clocks.now() - started;
  const after = clocks.processorTime();
  if (before === undefined || after === undefined) return { ms, isDisturbed: false };
  const given = ms * (threads ?? clocks.threads);
  const missed = given - (after - before);
  return { ms, isDisturbed: missed > MISSED_SHARE * given + MISSED_MS };
}

function fastestRuns(turns: readonly (readonly Run[])[]): Record<string, number> {
  const ms: Record<string, number> = {};
  for (const { way, ms: time } of turns.flat()) ms[way] = Math.min(ms[way] ?? time, time);
  return ms;
}
