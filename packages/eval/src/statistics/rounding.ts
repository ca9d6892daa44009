/**
 * Percentage as the paper's tables print it: half-up to two decimals, then half-up to one. Counts are integers, so the
 * first rounding is done exactly: 102 of 373 → 27.346 → 27.35 → 27.4.
 */
export function tablePercentage(correct: number, total: number): string {
  if (total === 0) return '–';
  const hundredths = Math.floor((20_000 * correct + total) / (2 * total));
  return (Math.floor((hundredths + 5) / 10) / 10).toFixed(1);
}
