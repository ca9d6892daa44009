import type { KernelSize } from '../../graph/choice.js';
import { sameSize } from './trials.js';

/** What a kind is written as at one size, and why. */
export interface MeasuredKernel {
  readonly kind: string;
  readonly size: KernelSize;
  readonly chosen: string;
  /** Fastest run of each way, ms. A way that this build of ONNX Runtime refuses has none. */
  readonly ms: Readonly<Record<string, number>>;
  /** Ways that give what the reference gives. */
  readonly equal: readonly string[];
  /** Turns that no other process disturbed, of all processes. */
  readonly turns: number;
  /** Processes that have measured this size. */
  readonly rounds: number;
  /** When the first of them did, ms since 1970. */
  readonly since: number;
  /** How long the last of them took, ms. */
  readonly tookMs: number;
  /** The choice before it grew old, which holds until there is a new one. */
  readonly earlier?: string;
}

/** Undisturbed turns after which a choice stands, and where two ways take nearly the same time. */
const ENOUGH_TURNS = 6;
const ENOUGH_WHERE_CLOSE = 12;
const CLOSE = 1.1;
/** Processes that look for undisturbed turns before the machine is left alone for a while. */
const MOST_ROUNDS = 16;

const HOUR = 3_600_000;
/** A machine gets other clock rates, neighbours and drivers. */
const STANDS_FOR = 7 * 24 * HOUR;
/** What was measured beside other programs alone is looked at again when they may have ended. */
const DISTURBED_STANDS_FOR = HOUR;

/** Another way has to win by more than repetitions differ by: less, where they were undisturbed. */
const CLEARLY = 0.97;
const CLEARLY_UNDISTURBED = 0.98;

/** Whether enough undisturbed turns tell which way is faster. */
export function isSettled({ ms, turns }: Pick<MeasuredKernel, 'ms' | 'turns'>): boolean {
  const [first = 1, second = Number.POSITIVE_INFINITY] = Object.values(ms).toSorted(
    (a, b) => a - b,
  );
  return turns >= (second < CLOSE * first ? ENOUGH_WHERE_CLOSE : ENOUGH_TURNS);
}

/** A measurement that has grown old begins anew. */
export function aged(kernel: MeasuredKernel, date: number): MeasuredKernel {
  const limit = isSettled(kernel) ? STANDS_FOR : DISTURBED_STANDS_FOR;
  // A date in the future is one of a clock that was set back since.
  const isOld = Math.abs(date - kernel.since) > limit;
  const anew = { ms: {}, turns: 0, rounds: 0, since: date, earlier: kernel.chosen };
  return isOld ? { ...kernel, ...anew } : kernel;
}

/** Whether another process is to measure it. */
export const isDue = (kernel: MeasuredKernel): boolean =>
  !isSettled(kernel) && kernel.rounds < MOST_ROUNDS;

/** Two measurements of one size: the fastest runs of both, and what was equal in both. */
export function together(
  known: MeasuredKernel,
  now: MeasuredKernel,
  reference: string,
): MeasuredKernel {
  const { earlier, ...kept } = known;
  const equal = known.equal.filter((way) => now.equal.includes(way));
  const turns = known.turns + now.turns;
  const ms = Object.fromEntries(
    equal.map((way) => [way, Math.min(known.ms[way] ?? Number.POSITIVE_INFINITY, now.ms[way]!)]),
  );
  const settled = isSettled({ ms, turns });
  const holds = !settled && earlier !== undefined && equal.includes(earlier);
  return {
    ...kept,
    ...(holds && { earlier }),
    chosen: holds ? earlier : fastest(equal, ms, reference, settled),
    ...{ ms, equal, turns },
    rounds: known.rounds + now.rounds,
    tookMs: now.tookMs,
  };
}

/** The fastest of ways that are equal to the reference, which stays where none is clearly faster. */
export function fastest(
  equal: readonly string[],
  ms: Readonly<Record<string, number>>,
  reference: string,
  isUndisturbed: boolean,
): string {
  const best = equal.toSorted((a, b) => ms[a]! - ms[b]!)[0] ?? reference;
  const limit = isUndisturbed ? CLEARLY_UNDISTURBED : CLEARLY;
  return ms[best]! < limit * ms[reference]! ? best : reference;
}

export const isOf = (kernel: MeasuredKernel, kind: string, size: KernelSize): boolean =>
  kernel.kind === kind && sameSize(kernel.size, size);
