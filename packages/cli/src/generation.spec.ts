import { type GenerationSettingsV1, SAMPLING_DEFAULTS } from '@spatialsv/core';
import {
  describeGeneration,
  type GenerationOptions,
  planFor,
  planGeneration,
} from './generation.js';

const plain: GenerationSettingsV1 = {
  endOfTurnIds: [2],
  repetitionPenalty: 1,
  sampling: SAMPLING_DEFAULTS,
};
/** As Qwen2.5-VL is published, with one setting more. */
const published: GenerationSettingsV1 = {
  ...plain,
  repetitionPenalty: 1.05,
  sampling: { doSample: true, temperature: 0.1, topK: 1, topP: 0.001, minP: 0 },
  file: 'generation_config.json',
  ignored: { num_beams: 4 },
};
const greedy: GenerationOptions = { sample: false, seed: 7 };
const drawn: GenerationOptions = { sample: true, seed: 7 };

it('is greedy with the penalty of the checkpoint, unless asked otherwise', () => {
  expect(planGeneration(plain, greedy, 128)).toEqual({ maxNewTokens: 128, repetitionPenalty: 1 });
  expect(planGeneration(published, greedy, 128)).toEqual({
    maxNewTokens: 128,
    repetitionPenalty: 1.05,
  });
  const given = { ...greedy, repetitionPenalty: 1, maxNewTokens: 9 };
  expect(planGeneration({ ...published, maxNewTokens: 300 }, given, 128)).toEqual({
    maxNewTokens: 9,
    repetitionPenalty: 1,
  });
  expect(planGeneration({ ...plain, maxNewTokens: 300 }, greedy, 128).maxNewTokens).toBe(300);
});

it('draws as the checkpoint says, options over it', () => {
  const plan = planGeneration(published, { ...drawn, topK: 0, minP: 0.1 }, 128);
  expect(plan.sampling).toEqual({ temperature: 0.1, topK: 0, topP: 0.001, minP: 0.1, seed: 7 });
});

it.each([
  ['--temperature', { temperature: 0.5 }],
  ['--top-k', { topK: 0 }],
  ['--min-p', { minP: 0 }],
])('refuses %s without --sample', (option, given) => {
  expect(() => planGeneration(plain, { ...greedy, ...given }, 128)).toThrow(
    expect.objectContaining({ code: 'USAGE', message: expect.stringContaining(option) }),
  );
});

it('draws every answer of many by a seed of its own', () => {
  const plan = planGeneration(plain, drawn, 128);
  const seeds = ['a', 'b', 'a'].map((id) => planFor(plan, id).sampling!.seed);
  expect(seeds[0]).toBe(seeds[2]);
  expect(seeds[0]).not.toBe(seeds[1]);
  expect(planFor(planGeneration(plain, greedy, 128), 'a')).not.toHaveProperty('sampling');
});

it('says what is done, what the file asks for and what is not followed', () => {
  const describe = (settings: GenerationSettingsV1, options: GenerationOptions) =>
    describeGeneration(planGeneration(settings, options, 128), settings);
  expect(describe(plain, greedy)).toBe('generation: greedy, at most 128 tokens');
  const asked =
    'generation_config.json asks for repetition penalty 1.05, sampling (temperature 0.1, top-k 1, top-p 0.001)';
  expect(describe(published, greedy)).toBe(
    `generation: greedy, repetition penalty 1.05, at most 128 tokens; ${asked}; not followed: sampling (add --sample), num_beams 4`,
  );
  expect(describe(published, drawn)).toBe(
    `generation: drawn with seed 7 (temperature 0.1, top-k 1, top-p 0.001), repetition penalty 1.05, at most 128 tokens; ${asked}; not followed: num_beams 4`,
  );
});
