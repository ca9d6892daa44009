import { DrawBudget } from './draw-budget.js';

describe('the points of a frame', () => {
  it('become fewer while frames are slow, down to what still shows something', () => {
    const budget = new DrawBudget();
    const first = budget.points;
    budget.learn(first, 200);
    expect(budget.points).toBeLessThan(first);
    for (let i = 0; i < 50; i++) budget.learn(budget.points, 200);
    expect(budget.points).toBeGreaterThan(1000);
  });

  it('become more while frames that draw as many are fast', () => {
    const budget = new DrawBudget();
    for (let i = 0; i < 10; i++) budget.learn(budget.points, 10);
    expect(budget.points).toBeGreaterThan(1_000_000);
    const known = budget.points;
    budget.learn(100, 10);
    expect(budget.points).toBe(known);
  });
});
