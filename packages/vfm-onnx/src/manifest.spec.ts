import { mergeManifests, parseManifest } from './manifest.js';

const refused = (value: unknown, message: string) =>
  expect(() => parseManifest(value, 'test.json')).toThrow(
    expect.objectContaining({
      code: 'CONFIG_INVALID',
      message: expect.stringMatching(new RegExp(`^test\\.json: .*${message}`)),
    }),
  );

describe('the description of a graph', () => {
  it('may be empty, and names outputs in short', () => {
    expect(parseManifest({}, 'test.json')).toEqual({});
    const outputs = { depth: 'z', sky: 'sky', features: { name: 'tokens', patch: 14 } };
    expect(parseManifest({ outputs }, 'test.json')).toEqual({
      outputs: {
        depth: { name: 'z' },
        sky: { name: 'sky', threshold: 0.5 },
        features: { name: 'tokens', patch: 14, specialTokens: 0 },
      },
    });
  });

  it.each([
    [
      { fieldOfViewDegree: 60 },
      'unknown key "fieldOfViewDegree", did you mean "fieldOfViewDegrees"',
    ],
    [{ input: { normalization: 'unit' } }, '"input.normalization", did you mean "normalisation"'],
    [{ outputs: { confidence: 'c' } }, '"outputs.confidence", did you mean "depthConfidence"'],
    [{ outputs: { depth: { name: 'z', knd: 1 } } }, '"outputs.depth.knd", did you mean "kind"'],
    [{ outputs: { sky: { name: 's', treshold: 1 } } }, 'treshold", did you mean "threshold"'],
    [{ input: { size: { heigth: 1 } } }, '"input.size.heigth", did you mean "height"'],
    [{ zzz: 1 }, 'unknown key "zzz", known are graph, model'],
  ])('refuses unknown keys: %j', refused);

  it.each([
    [{ views: 0 }, 'views'],
    [{ views: 'one' }, 'views'],
    [{ input: { rank: 3 } }, 'input.rank'],
    [{ input: { size: { height: 14 } } }, 'input.size: expected height and width'],
    [{ input: { size: { height: 14, longestSide: 28 } } }, 'input.size: expected'],
    [{ outputs: { depth: { kind: 'z-depth' } } }, 'outputs.depth.name'],
    [{ outputs: { pose: { name: 'p', encoding: 'c2w' } } }, 'outputs.pose.encoding'],
    [{ fieldOfViewDegrees: 180 }, 'fieldOfViewDegrees'],
    [{ licence: { name: 'MIT' } }, 'licence.commercialUse'],
    ['da3', 'the description'],
  ])('refuses wrong values: %j', refused);

  it('gives way to settings, key by key', () => {
    const under = parseManifest(
      { views: 2, input: { rank: 5, name: 'x' }, outputs: { depth: 'z' } },
      'file',
    );
    const over = parseManifest({ views: 3, input: { rank: 4 } }, 'settings');
    expect(mergeManifests(under, over)).toEqual({
      views: 3,
      input: { rank: 4, name: 'x' },
      outputs: { depth: { name: 'z' } },
    });
  });
});
