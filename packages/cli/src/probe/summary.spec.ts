import type { ProbeResult, Subject } from '@spatialsv/train';
import { comparison } from './comparison.js';
import { controlOrders, describeOrder } from './control-order.js';
import { modelNames } from './model-names.js';
import { spreadOf, summarise, taskTables } from './summary.js';
import { markdown } from './write-results.js';

const result = (subject: Subject, seed: number, rmse: number): ProbeResult => ({
  ...{ task: 'depth', subject, seed, channels: 4, curve: [], seconds: 1 },
  metrics: Object.fromEntries(
    ['rmse', 'rmseMedianScaled', 'rmseScaled', 'rmseScaledAndShifted', 'absRel']
      .concat('delta1', 'delta2', 'delta3')
      .map((name) => [name, rmse]),
  ),
});

const model = (name: string, values: Readonly<Partial<Record<Subject, readonly number[]>>>) => ({
  model: name,
  results: Object.entries(values).flatMap(([subject, list]) =>
    list!.map((value, seed) => result(subject as Subject, seed, value)),
  ),
});

const GOOD = model('good', {
  constant: [0.3, 0.34],
  random: [0.31, 0.339],
  'label-features': [0.05, 0.06],
  projector: [0.2, 0.22],
  final: [0.1, 0.14],
});

it('spreads are sample standard deviations, and unknown for one seed', () => {
  expect(spreadOf([1, 3])).toEqual({ mean: 2, sd: Math.SQRT2 });
  expect(spreadOf([5])).toEqual({ mean: 5, sd: null });
});

it('models are compared by their best site, which no control is', () => {
  const models = [GOOD, model('other', { constant: [0.3], final: [0.29] })];
  const accuracy = {
    ...{ run: 'r', benchmark: 'mindcube', accuracy: 0.5, questions: 10, weights: 'w' },
    interval: [0.4, 0.6] as const,
  };
  const rows = comparison(models, summarise(models), [accuracy, undefined]);
  expect(rows).toMatchObject([
    { model: 'good', subject: 'final', accuracy: 0.5, accuracyLow: 0.4 },
    { model: 'other', subject: 'final', accuracy: null },
  ]);
  expect(rows[0]!.mean).toBeCloseTo(0.12, 12);
});

describe('the order of controls', () => {
  const orderOf = (models: readonly ReturnType<typeof model>[]) =>
    controlOrders(models, comparison(models, summarise(models), []))[0]!;

  it('is counted seed by seed', () => {
    expect(orderOf([GOOD])).toMatchObject({
      ...{ site: 'final', seeds: 2, randomNoBetterThanConstant: 2 },
      ...{ siteBetterThanConstant: 2, ceilingBetterThanSite: 2 },
    });
    expect(describeOrder(orderOf([GOOD]))).toMatch(/final better than constant in 2/);
  });

  it('sees each of its parts broken', () => {
    const values = { constant: [0.3], random: [0.2], 'label-features': [0.5], final: [0.4] };
    expect(orderOf([model('bad', values)])).toMatchObject({
      ...{ randomNoBetterThanConstant: 0, siteBetterThanConstant: 0, ceilingBetterThanSite: 0 },
    });
  });

  it('leaves out what was not measured', () => {
    const order = orderOf([model('bare', { final: [0.4] })]);
    expect(order).toMatchObject({ siteBetterThanConstant: null, ceilingBetterThanSite: null });
    expect(describeOrder(order)).toBe('');
  });
});

it('tables have a column for the model only where there are several', () => {
  const [header, first] = taskTables(summarise([GOOD]), false).get('depth')!;
  expect(header!.slice(0, 3)).toEqual(['probed', 'channels', 'RMSE']);
  expect(first!.slice(0, 3)).toEqual(['constant', '4', '0.320 ± 0.028']);
  expect(markdown(summarise([GOOD, { ...GOOD, model: 'a|b' }]), [])).toContain('| a\\|b | final |');
});

it('models are called by as much of their path as tells them apart', () => {
  expect(modelNames(['/a/b', '/a/c'])).toEqual(['b', 'c']);
  expect(modelNames(['/x/step-1', '/y/step-1'])).toEqual(['x/step-1', 'y/step-1']);
  expect(() => modelNames(['/a/b', '/a/b/'])).toThrow(/named twice/);
});
