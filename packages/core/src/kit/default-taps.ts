/** What the paper taps of the shallowest to the deepest quarter of a decoder (Table 6, 36 layers). */
const FRACTIONS = [4 / 36, 12 / 36, 20 / 36, 28 / 36];

/**
 * Tapped layers of a decoder: those published for its depth, else the same fractions of the depth, ascending and
 * distinct as far as there are layers.
 * @param published taps by number of layers.
 */
export function defaultTaps(
  layers: number,
  published: Readonly<Record<number, readonly number[]>> = {},
): readonly number[] {
  let previous = 0;
  const after = (fraction: number) => {
    previous = Math.min(layers, Math.max(previous + 1, Math.round(fraction * layers)));
    return previous;
  };
  return published[layers] ?? FRACTIONS.map(after);
}
