import { countSteps, rateFactor } from './schedule.js';

describe('rateFactor', () => {
  const schedule = { steps: 100, warmupRatio: 0.03, type: 'cosine' as const };

  it('rises from 0 over the warm-up, then falls along a cosine to 0', () => {
    expect([0, 1, 2, 3].map((step) => rateFactor(step, schedule))).toEqual([0, 1 / 3, 2 / 3, 1]);
    expect(rateFactor(3 + 97 / 2, schedule)).toBeCloseTo(0.5, 12);
    expect(rateFactor(100, schedule)).toBeCloseTo(0, 12);
    for (let step = 4; step < 100; step++) {
      expect(rateFactor(step, schedule)).toBeLessThan(rateFactor(step - 1, schedule));
    }
  });

  it('starts at the full rate without warm-up', () => {
    expect(rateFactor(0, { steps: 10, warmupRatio: 0, type: 'cosine' })).toBe(1);
  });
});

describe('other schedules', () => {
  it('fall in a line to 0, or stay', () => {
    const at = (type: 'linear' | 'constant') =>
      [0, 5, 10, 55, 100].map((step) => rateFactor(step, { steps: 100, warmupRatio: 0.1, type }));
    expect(at('linear')).toEqual([0, 0.5, 1, 0.5, 0]);
    expect(at('constant')).toEqual([0, 0.5, 1, 1, 1]);
  });
});

describe('countSteps', () => {
  it('prefers steps and rounds epochs up', () => {
    expect(countSteps({ steps: 7 }, 100, 16)).toBe(7);
    expect(countSteps({ epochs: 2 }, 100, 16)).toBe(13);
    expect(countSteps({}, 5, 16)).toBe(1);
  });
});
