import type { Table } from '../testing/compare.js';
import { compileCase, differenceError, evaluateEagerly, worst } from '../testing/compare.js';
import { differentiatedInputs, GROUPS, isSmooth } from '../testing/kernel-cases.js';

/** One float32 rounding per operation, a few more where sums run in another order. */
const VALUE_TOLERANCE = 2e-5;
const GRADIENT_TOLERANCE = 1e-4;
/** Central differences in float32 at h = 10⁻² are good to about two digits. */
const DIFFERENCE_TOLERANCE = 2e-2;

/** Compiled once: value and gradients beside tfjs, and gradients beside differences of values. */
async function expectRight(row: Table[number]): Promise<void> {
  const [, program, given] = row;
  const inputs = differentiatedInputs(row);
  const compiled = await compileCase(program, given, inputs);
  try {
    const found = await compiled.at(0, undefined);
    const expected = await evaluateEagerly(program, compiled, inputs);
    expect(found.value.shape).toEqual(expected.value.shape);
    expect(worst(found.value, expected.value)).toBeLessThan(VALUE_TOLERANCE);
    for (const by of inputs) {
      const [own, reference] = [found.gradients[by]!, expected.gradients[by]!];
      expect(own.shape).toEqual(reference.shape);
      expect(worst(own, reference)).toBeLessThan(GRADIENT_TOLERANCE);
      if (isSmooth(row)) {
        expect(await differenceError(compiled, by)).toBeLessThan(DIFFERENCE_TOLERANCE);
      }
    }
  } finally {
    await compiled.dispose();
  }
}

describe.each(GROUPS)('%s kernels', (_group, table) => {
  test.each(table)('%s and its gradients equal tfjs and central differences', (...row) =>
    expectRight(row as Table[number]),
  );
});

describe('the cases', () => {
  const rows = GROUPS.flatMap(([, table]) => table);

  it('cover gradients, most of them beside differences', () => {
    const gradients = rows.map((row) => [differentiatedInputs(row).length, isSmooth(row)] as const);
    const count = (counted: (typeof gradients)[number][]) =>
      counted.reduce((sum, [inputs]) => sum + inputs, 0);
    expect(rows.length).toBeGreaterThanOrEqual(GRADIENTS_FLOOR.rows);
    expect(count(gradients)).toBeGreaterThanOrEqual(GRADIENTS_FLOOR.gradients);
    expect(count(gradients.filter(([, smooth]) => smooth))).toBeGreaterThanOrEqual(
      GRADIENTS_FLOOR.smooth,
    );
  });
});

/** What the tables held when this was counted; fewer would mean that cases fell out. */
const GRADIENTS_FLOOR = { rows: 335, gradients: 475, smooth: 378 };
