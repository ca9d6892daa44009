import { countSteps, rateFactor } from './schedule.js';

describe('rateFactor', () => {
  const schedule = { steps: 100, warmupRatio: 0.03 };

  it('rises from 0 over the warm-up, then falls along a cosine to 0', () => {
    expect([0, 1, 2, 3].map((step) => rateFactor(step, schedule))).toEqual([0, 1 / 3, 2 / 3, 1]);
    expect(rateFactor(3 + 97 / 2, schedule)).toBeCloseTo(0.5, 12);
    expect(rateFactor(100, schedule)).toBeCloseTo(0, 12);
    for (let step = 4; step < 100; step++) {
      expect(rateFactor(step, schedule)).toBeLessThan(rateFactor(step - 1, schedule));
    }
  });

  it('starts at the full rate without warm-up', () => {
    expect(rateFactor(0, { steps: 10, warmupRatio: 0 })).toBe(1);
  });
});

describe('countSteps', () => {
  it('prefers steps and rounds epochs up', () => {
    expect(countSteps({ steps: 7 }, 100, 16)).toBe(7);
    expect(countSteps({ epochs: 2 }, 100, 16)).toBe(13);
    expect(countSteps({}, 5, 16)).toBe(1);
  });
});
