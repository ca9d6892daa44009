/** Blocks of a network that are one program: `first` … `last`. */
export interface Stretch {
  readonly first: number;
  readonly last: number;
}

export const isIn = ({ first, last }: Stretch, block: number): boolean =>
  block >= first && block <= last;

/**
 * A network in stretches, so that only the weights of one have to be in memory at a time.
 * @param start first block. @param ends last block of every stretch, ascending; those before `start` are left out.
 */
export function stretchesFrom(start: number, ends: readonly number[]): readonly Stretch[] {
  const last = [...new Set(ends)].filter((end) => end >= start).sort((a, b) => a - b);
  return last.map((end, i) => ({ first: i === 0 ? start : last[i - 1]! + 1, last: end }));
}
