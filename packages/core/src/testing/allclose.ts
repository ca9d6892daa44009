/** Numbers, flat. */
export type NumberArray = ArrayLike<number>;

/** |actual − expected| ≤ atol + rtol·|expected|. */
export interface Tolerance {
  readonly rtol?: number;
  readonly atol?: number;
}

interface Comparison {
  readonly pass: boolean;
  readonly message: () => string;
}

/** How far a pair lies beyond the tolerance; ≤ 1 is within. */
const excess = (actual: number, expected: number, tolerance: Required<Tolerance>): number => {
  if (Object.is(actual, expected) || actual === expected) return 0;
  if (!Number.isFinite(actual) || !Number.isFinite(expected)) return Number.POSITIVE_INFINITY;
  const difference = Math.abs(actual - expected);
  return difference / (tolerance.atol + tolerance.rtol * Math.abs(expected));
};

/**
 * Compares element by element, in the form that `expect.extend({ toBeAllclose })` wants. Non-finite values equal only
 * the same non-finite value.
 * @param tolerance rtol 1e-5 and atol 1e-8 unless given.
 */
export const toBeAllclose = (
  actual: NumberArray,
  expected: NumberArray,
  { rtol = 1e-5, atol = 1e-8 }: Tolerance = {},
): Comparison => {
  if (actual.length !== expected.length)
    return {
      pass: false,
      message: () => `expected ${expected.length} values, found ${actual.length}`,
    };
  let worst = -1;
  let worstExcess = 1;
  let failures = 0;
  for (let i = 0; i < actual.length; i++) {
    const value = excess(actual[i]!, expected[i]!, { rtol, atol });
    if (value > 1) failures++;
    if (value > worstExcess) {
      worst = i;
      worstExcess = value;
    }
  }
  return {
    pass: failures === 0,
    message: () =>
      failures === 0
        ? `expected arrays to differ (rtol ${rtol}, atol ${atol})`
        : `${failures} of ${actual.length} values differ (rtol ${rtol}, atol ${atol}); worst at index ${worst}: ` +
          `expected ${expected[worst]}, found ${actual[worst]}`,
  };
};

/**
 * Fails unless both arrays agree element by element.
 * @throws Error naming the worst index.
 */
export const expectAllclose = (
  actual: NumberArray,
  expected: NumberArray,
  tolerance?: Tolerance,
): void => {
  const { pass, message } = toBeAllclose(actual, expected, tolerance);
  if (!pass) throw new Error(message());
};
