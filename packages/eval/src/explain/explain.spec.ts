import { binAnswers } from './bins.js';
import { chooseCases } from './cases.js';
import { type ExplainedRun, explainRuns } from './explain.js';

const answers = (qualities: readonly number[], right: readonly number[]) =>
  qualities.map((quality, i) => ({ quality, right: right[i] === 1 }));

describe('binAnswers', () => {
  it('parts answers into bins of equal size, the worst first', () => {
    const { bins } = binAnswers(answers([8, 1, 7, 2, 6, 3, 5, 4], [1, 0, 1, 0, 1, 1, 0, 0]), 4);
    expect(bins.map(({ quality }) => quality)).toEqual([
      [1, 2],
      [3, 4],
      [5, 6],
      [7, 8],
    ]);
    expect(bins.map(({ accuracy }) => accuracy)).toEqual([0, 0.5, 0.5, 1]);
  });

  it('keeps equal qualities together, even where a bin stays empty', () => {
    const { bins, trend } = binAnswers(
      answers([1, 1, 1, 1, 1, 1, 2, 2], [0, 0, 0, 1, 0, 0, 1, 1]),
      4,
    );
    expect(bins.map(({ questions }) => questions)).toEqual([0, 6, 0, 2]);
    expect(bins[0]).toMatchObject({ accuracy: null, quality: null, interval: [0, 1] });
    expect(trend!.z).toBeGreaterThan(1.9);
  });

  it('says nothing of a trend where every answer is right', () => {
    expect(binAnswers(answers([1, 2, 3, 4], [1, 1, 1, 1]), 2).trend).toBeNull();
  });
});

/** Two questions a view set. */
const run = (
  name: string,
  qualities: readonly (number | undefined)[],
  right: string,
): ExplainedRun => ({
  name,
  answers: [...right].map((mark, i) => ({
    key: `q${i}`,
    views: `v${Math.floor(i / 2)}`,
    category: i % 2 === 0 ? 'even' : 'odd',
    right: mark === '+',
    quality: qualities[Math.floor(i / 2)],
  })),
});

const good = run('good', [0.1, 0.2, 0.3, 0.4], '+++++-+-');
const bad = run('bad', [0.5, 0.1, 0.8, 0.9], '-+----+-');
const options = { better: 'lower', bins: 2, seed: 1 } as const;

describe('explainRuns', () => {
  it('counts every view set once in the quality of a model', () => {
    const { models, overModels } = explainRuns([good, bad, run('none', [], '++--')], options);
    expect(models[0]!.quality).toBeCloseTo(0.25, 12);
    expect(models.map(({ accuracy }) => accuracy)).toEqual([0.75, 0.25, 0.5]);
    expect(models[2]).toMatchObject({ quality: null, rated: 0 });
    expect(overModels).toMatchObject({ models: 2, pearson: { fisher: null, bootstrap: null } });
    expect(overModels.pearson.coefficient).toBeCloseTo(-1, 12);
  });

  it('takes large errors for bad and small ones for good', () => {
    const [model] = explainRuns([good], options).byModel;
    expect(model!.bins.map(({ quality }) => quality)).toEqual([
      [0.3, 0.4],
      [0.1, 0.2],
    ]);
    expect(model!.bins.map(({ accuracy }) => accuracy)).toEqual([0.5, 1]);
    expect(model!.categories['even']!.bins.map(({ accuracy }) => accuracy)).toEqual([1, 1]);
    const turned = explainRuns([good], { ...options, better: 'higher' }).byModel[0]!;
    expect(turned.bins.map(({ accuracy }) => accuracy)).toEqual([1, 0.5]);
  });

  it('counts how often the model that is right sees better', () => {
    const [found] = explainRuns([good, bad], options).disagreements;
    // q0, q4: the good one is right and sees better; q2, q3: it is right and sees worse.
    expect(found).toMatchObject({ models: ['good', 'bad'], questions: 4, betterIsRight: 2 });
    expect(found!.pValue).toBe(1);
  });
});

describe('chooseCases', () => {
  it('takes the best right and the worst wrong answers, one of each view set', () => {
    const cases = chooseCases([good], 2, options);
    expect(cases.map(({ kind, key }) => [kind, key])).toEqual([
      ['best', 'q0'],
      ['best', 'q2'],
      ['worst', 'q7'],
      ['worst', 'q5'],
    ]);
  });

  it('contrasts models where the one that is right sees better, by how much', () => {
    const contrasts = chooseCases([good, bad], 5, options).filter(
      ({ kind }) => kind === 'contrast',
    );
    expect(contrasts.map(({ key, model, other }) => [key, model, other!.model])).toEqual([
      ['q4', 'good', 'bad'],
      ['q0', 'good', 'bad'],
    ]);
  });
});
