/** Two-sided 95 % quantile of the standard normal distribution. */
export const Z95 = 1.959963984540054;

/**
 * Wilson score interval of a proportion.
 * @returns [low, high] in [0, 1]; [0, 1] without trials.
 */
export function wilsonInterval(
  successes: number,
  trials: number,
  z = Z95,
): readonly [number, number] {
  if (trials === 0) return [0, 1];
  const rate = successes / trials;
  const shrink = 1 + (z * z) / trials;
  const centre = (rate + (z * z) / (2 * trials)) / shrink;
  const spread =
    (z / shrink) * Math.sqrt((rate * (1 - rate)) / trials + (z * z) / (4 * trials * trials));
  return [Math.max(0, centre - spread), Math.min(1, centre + spread)];
}
