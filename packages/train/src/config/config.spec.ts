import { SpatialError } from '@spatialsv/core';
import { parseTrainConfig } from './load-config.js';
import { trainConfigSchema } from './schema.js';

const MINIMAL = 'model: ./m\nout: runs/a\ndata:\n  - path: train.jsonl\n';

function failure(text: string): SpatialError {
  try {
    parseTrainConfig(text, '/x/config.yaml');
  } catch (error) {
    if (SpatialError.isInstance(error)) return error;
    throw error;
  }
  throw new Error('expected a failure');
}

const LABELLED = `${MINIMAL}source: vggt\n`;

describe('parseTrainConfig', () => {
  it('fills in the defaults of the paper and resolves paths', () => {
    const config = parseTrainConfig(MINIMAL, '/x/config.yaml');
    expect(config).toMatchObject({
      model: '/x/m',
      out: '/x/runs/a',
      data: [{ path: '/x/train.jsonl' }],
      batchSize: 16,
      arm: 'text',
      optimizer: { learningRates: {}, gradientClip: 1 },
      schedule: { warmupRatio: 0.03 },
      source: { name: 'none' },
    });
  });

  it('names line and nearest key of an unknown key', () => {
    const error = failure(`${MINIMAL}optimizer:\n  betas: [0.9, 0.99]\n  weight_decy: 0.1\n`);
    expect(error.code).toBe('CONFIG_INVALID');
    expect(error.message).toContain('/x/config.yaml:7');
    expect(error.message).toContain("'weightDecay'");
    const top = failure(`batchsize: 3\n${MINIMAL}`);
    expect(top.message).toContain(":1: unknown key 'batchsize', did you mean 'batchSize'?");
    const heads = failure(`${MINIMAL}heads:\n  presets: tiny\n`);
    expect(heads.message).toContain(":6: unknown key 'heads.presets', did you mean 'preset'?");
    const feature = failure(`${MINIMAL}heads: { type: dpt, tasks: [depht] }\n`);
    expect(feature.message).toMatch(/:5: 'heads\.tasks\.0': .*"depht"/);
    const nested = failure(`${MINIMAL}    limt: 4\n`);
    expect(nested.message).toContain(":5: unknown key 'data.0.limt', did you mean 'limit'?");
  });

  it('takes a label source by its name alone', () => {
    const config = parseTrainConfig(`${MINIMAL}source: synthetic\n`, '/x/config.yaml');
    expect(config.source).toEqual({ name: 'synthetic', every: 1 });
    const options = failure(`${MINIMAL}source: { nam: synthetic }\n`);
    expect(options.message).toContain(":5: unknown key 'source.nam', did you mean 'name'?");
  });

  it('takes labels from a store, or settings to make them, not both', () => {
    const config = parseTrainConfig(
      `${MINIMAL}source: { name: vggt, store: labels }\n`,
      '/x/config.yaml',
    );
    expect(config.source).toEqual({ name: 'vggt', store: '/x/labels', every: 1 });
    const weights = 'source: { name: vggt, weights: ../vggt, settings: { mode: pad } }\n';
    const opened = parseTrainConfig(`${MINIMAL}${weights}`, '/x/config.yaml').source;
    expect(opened).toMatchObject({ weights: '/vggt', settings: { mode: 'pad' } });
    const both = failure(`${MINIMAL}source: { name: vggt, store: labels, weights: vggt }\n`);
    expect(both.message).toContain('either store');
  });

  it('leaves the options of other heads to their plugin', () => {
    const defaults = parseTrainConfig(LABELLED, '/x/config.yaml');
    expect(defaults.heads).toMatchObject({ type: 'dpt', preset: 'small', outputScale: 8 });
    const config = parseTrainConfig(`${MINIMAL}heads: { type: linear, a: 1 }\n`, '/x/config.yaml');
    expect(config.heads).toEqual({ type: 'linear', a: 1 });
  });

  it('explains a wrong type, a missing key and both at once', () => {
    const wrong = failure(`${MINIMAL}batchSize: many\n`);
    expect(wrong.message).toMatch(/:5: 'batchSize': .*"many"/);
    const missing = failure('model: ./m\ndata:\n  - path: a\n');
    expect(missing.message).toContain("'out' is missing");
    const both = failure('model: 3\nout: x\ndata: []\n');
    expect(both.message.split('\n')).toHaveLength(2);
  });

  it('refuses aliases that explode and the key of a prototype, with the line', () => {
    const aliases = Array.from(
      { length: 9 },
      (_, i) => `a${i + 1}: &a${i + 1} [${`*a${i}, `.repeat(9)}*a${i}]`,
    );
    const bomb = failure(`${MINIMAL}a0: &a0 [1]\n${aliases.join('\n')}\n`);
    expect(bomb).toMatchObject({
      code: 'CONFIG_INVALID',
      message: expect.stringMatching(/:\d+: the alias/),
    });
    const heads = failure(`${MINIMAL}heads:\n  __proto__: { preset: tiny }\n`);
    expect(heads.message).toContain("config.yaml:6: unknown key '__proto__'");
  });

  it('refuses steps beside epochs, broken YAML and an empty file', () => {
    expect(failure(`${MINIMAL}schedule: { steps: 3, epochs: 1 }\n`).message).toContain('not both');
    expect(failure('model: [\n').code).toBe('CONFIG_INVALID');
    expect(failure('').message).toContain("'model' is missing");
  });
});

describe('low-rank updates', () => {
  const parse = (text: string) => parseTrainConfig(`${MINIMAL}${text}`, '/x/config.yaml');

  it.each([
    ['', 'full', 16],
    ['lora: { rank: 4 }', 'lora', 4],
    ['lora: { rank: 4 }\ntrain: { mm: frozen }', 'lora', 4],
    ['lora: { rank: 4 }\ntrain: { llm: full }', 'full', 4],
    ['lora: { rank: 4 }\ntrain: { mm: lora }', 'full', 4],
    ["lora: { rank: 4 }\ntrain: { names: { '**.q_proj': lora } }", 'full', 4],
    ['train: { llm: lora }', 'lora', 16],
  ])('%j trains the language model %s, by rank %i', (text, llm, rank) => {
    const config = parse(text);
    expect([config.train.llm, config.lora.rank]).toEqual([llm, rank]);
    expect(trainConfigSchema.parse(JSON.parse(JSON.stringify(config)))).toEqual(config);
  });
});

describe('an arm', () => {
  const parse = (text: string) => parseTrainConfig(`${LABELLED}${text}`, '/x/config.yaml');

  it.each([
    ['', 'spatialsv', ['feat', 'dep', 'poi', 'ray'], ['depth', 'ray', 'point']],
    ['arm: spatialsv', 'spatialsv', ['feat', 'dep', 'poi', 'ray'], ['depth', 'ray', 'point']],
    ['arm: distill', 'distill', ['feat'], []],
    ['arm: text', 'text', [], []],
    ['signals: [dep]', 'spatialsv', ['dep'], ['depth']],
    ['signals: [ray, poi, dep]', 'spatialsv', ['dep', 'poi', 'ray'], ['depth', 'ray', 'point']],
    ['heads: { tasks: [point] }', 'spatialsv', ['feat', 'poi'], ['point']],
    ['losses: { weights: { ray: 0 } }', 'spatialsv', ['feat', 'dep', 'poi'], ['depth', 'point']],
  ])('%p is %s with %j and the heads %j', (text, arm, signals, tasks) => {
    const config = parse(text);
    expect(config).toMatchObject({ arm, signals, heads: { tasks } });
    const terms = { distillation: 'feat', depth: 'dep', point: 'poi', ray: 'ray' } as const;
    const weights = Object.entries(terms).map(([term, signal]) => [
      term,
      signals.includes(signal) ? 1 : 0,
    ]);
    expect(config.losses.weights).toEqual({ text: 1, ...Object.fromEntries(weights) });
    expect(trainConfigSchema.parse(JSON.parse(JSON.stringify(config)))).toEqual(config);
  });

  it('without a source is text', () => {
    const config = parseTrainConfig(MINIMAL, '/x/config.yaml');
    expect(config).toMatchObject({ arm: 'text', signals: [] });
  });

  it.each([
    ['projectors: shared', { projectors: 'shared' }],
    ['projectors: four', { projectors: 'decoupled' }],
    ['heads: { projectors: shared }', { projectors: 'shared' }],
  ])('%p makes the heads %j', (text, heads) => {
    expect(parse(text).heads).toMatchObject(heads);
  });

  it.each([
    ['arm: spatial', ":6: 'arm'"],
    ['arm: text\nsignals: [dep]', ":7: 'signals'"],
    ['arm: distill\nsignals: [feat, dep]', ":7: 'signals'"],
    ['arm: spatialsv\nsignals: []', ":7: 'signals': no signal"],
    ['signals: [deep]', ":6: 'signals.0'"],
    ['heads: { type: linear }\nprojectors: four', ":7: 'projectors'"],
    ['layers: [-1]', ":6: 'layers.0'"],
    ['layers: {}', ":6: 'layers': expected a layer"],
    ['train: { llm: lroa }', ":6: 'train.llm'"],
    ['train: { vision: full }', ":6: 'train.vision'"],
    ['train: { lm: full }', "unknown key 'train.lm', did you mean 'llm'?"],
    ['lora: { ranks: 3 }', "unknown key 'lora.ranks', did you mean 'rank'?"],
    ['recompute: layers', ":6: 'recompute'"],
  ])('refuses %p', (text, message) => {
    expect(failure(`${LABELLED}${text}\n`).message).toContain(message);
  });

  it('that learns from labels needs a source', () => {
    expect(failure(`${MINIMAL}arm: distill\n`).message).toContain("'distill' learns from labels");
  });
});
