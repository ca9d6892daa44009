import { centralDifference, gradientOf, onBoth, worst } from '../testing/compare.js';
import { GROUPS, gradientCases } from '../testing/kernel-cases.js';

/** One float32 rounding per operation, a few more where sums run in another order. */
const VALUE_TOLERANCE = 2e-5;
const GRADIENT_TOLERANCE = 1e-4;
/** Central differences in float32 at h = 10⁻² are good to about two digits. */
const DIFFERENCE_TOLERANCE = 2e-2;

/** Slopes that jump or grow without bound inside the sampled range; the comparison with tfjs covers them. */
const KINKED =
  /^(mod|where|acos|asin|atanh|tan|relu6|maximum|minimum|max |min |abs|relu|leakyRelu|clip)/;

describe.each(GROUPS)('%s kernels', (_group, table) => {
  test.each(table)('%s equals tfjs on its CPU backend', async (_name, program, inputs) => {
    const compared = await onBoth(program, inputs);
    expect(compared.shapes[0]).toEqual(compared.shapes[1]);
    expect(worst(compared)).toBeLessThan(VALUE_TOLERANCE);
  });
});

describe.each(GROUPS.filter(([group]) => group !== 'without gradient'))(
  'gradients of %s kernels',
  (_group, table) => {
    const cases = gradientCases(table);

    test.each(cases)('$name by input $by equals tfjs', async ({ program, inputs, by }) => {
      const compared = await onBoth(gradientOf(program, by), inputs);
      expect(compared.shapes[0]).toEqual(compared.shapes[1]);
      expect(worst(compared)).toBeLessThan(GRADIENT_TOLERANCE);
    });

    test.each(cases.filter(({ name }) => !KINKED.test(name)))(
      '$name by input $by equals central differences',
      async ({ program, inputs, by }) => {
        const { along, difference } = await centralDifference(program, inputs, by);
        const error = Math.abs(along - difference) / (1 + Math.abs(difference));
        expect(error).toBeLessThan(DIFFERENCE_TOLERANCE);
      },
    );
  },
);
