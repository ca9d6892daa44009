import path from 'node:path';
import { SAMPLING_DEFAULTS } from '@spatialsv/core';
import { type Golden, readGolden } from '@spatialsv/core/testing';
import { penaliseRepetition, type Sampling, TokenChooser, tokenChances } from './token-choice.js';

interface Case {
  readonly temperature?: number;
  readonly top_k?: number;
  readonly top_p?: number;
  readonly min_p?: number;
  readonly repetition_penalty?: number;
}

const samplingOf = ({ temperature, top_k, top_p, min_p }: Case): Omit<Sampling, 'seed'> => ({
  temperature: temperature ?? SAMPLING_DEFAULTS.temperature,
  topK: top_k ?? SAMPLING_DEFAULTS.topK,
  topP: top_p ?? SAMPLING_DEFAULTS.topP,
  minP: min_p ?? SAMPLING_DEFAULTS.minP,
});

describe('the distribution that is drawn from, beside transformers', () => {
  let golden: Golden;
  beforeAll(async () => {
    golden = await readGolden(path.join(__dirname, '__golden__', 'sampling'));
  });

  it('is equal for every setting', () => {
    const cases = golden.info['cases'] as readonly Case[];
    expect(cases.length).toBeGreaterThan(10);
    for (const [index, settings] of cases.entries()) {
      const logits = golden.float32(`${index}.logits`);
      const seen = golden.int32(`${index}.seen`);
      const scores = penaliseRepetition(logits, new Set(seen), settings.repetition_penalty ?? 1);
      const { ids, chances } = tokenChances(scores, samplingOf(settings));
      const found = new Float64Array(logits.length);
      for (const [i, id] of ids.entries()) found[id] = chances[i]!;
      const expected = golden.float32(`${index}.probabilities`);
      const kept = (values: ArrayLike<number>) =>
        Array.from(values).flatMap((value, id) => (value > 0 ? [id] : []));
      expect([settings, kept(found)]).toEqual([settings, kept(expected)]);
      const errors = found.map((value, id) => Math.abs(value - expected[id]!));
      expect(Math.max(...errors)).toBeLessThan(1e-6);
    }
  });
});

const logits = Float32Array.from([1, 3, 2.9, -1, 0]);
const sampling: Sampling = { ...samplingOf({ top_k: 0 }), seed: 5 };
const chooseMany = (seed: number, count = 4000) => {
  const chooser = new TokenChooser([], { repetitionPenalty: 1, sampling: { ...sampling, seed } });
  return Array.from({ length: count }, () => chooser.choose(logits));
};

describe('TokenChooser', () => {
  it('takes the most probable token, and another when that was seen', () => {
    expect(new TokenChooser([], { repetitionPenalty: 1 }).choose(logits)).toBe(1);
    const chooser = new TokenChooser([4], { repetitionPenalty: 1.3 });
    expect([chooser.choose(logits), chooser.choose(logits), chooser.choose(logits)]).toEqual([
      1, 2, 1,
    ]);
    expect([...logits]).toEqual([1, 3, expect.closeTo(2.9), -1, 0]);
  });

  it('draws by probability, equally for equal seeds', () => {
    const drawn = chooseMany(5);
    expect(chooseMany(5)).toEqual(drawn);
    expect(chooseMany(6)).not.toEqual(drawn);
    const { ids, chances } = tokenChances(logits, sampling);
    for (const [i, id] of ids.entries()) {
      const share = drawn.filter((other) => other === id).length / drawn.length;
      const deviation = Math.sqrt((chances[i]! * (1 - chances[i]!)) / drawn.length);
      expect(Math.abs(share - chances[i]!)).toBeLessThan(4 * deviation);
    }
  });
});
