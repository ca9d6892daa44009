/** Counts comparisons with reference numbers; a difference is kept with what was compared. */
export class Comparisons {
  passed = 0;
  failures = [];

  /** |found − expected| ≤ rtol · |expected| + atol, element by element. */
  numbers(name, found, expected, { rtol, atol }) {
    const worst = expected.findIndex(
      (value, i) => !(Math.abs(found[i] - value) <= rtol * Math.abs(value) + atol),
    );
    const fits = found.length === expected.length && worst < 0;
    this.holds(fits, `${name}: ${found[worst]} instead of ${expected[worst]} at ${worst}`);
  }

  holds(condition, failure) {
    if (condition) this.passed += 1;
    else this.failures.push(failure);
  }
}

export const largest = (values) =>
  values.reduce((most, value) => Math.max(most, Math.abs(value)), 0);
