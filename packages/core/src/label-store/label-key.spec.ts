import { canonicalJson } from '../canonical-json.js';
import { type LabelKeyRequest, labelKey } from './label-key.js';

const image = (digit: string): string => digit.repeat(64);

const REQUEST: LabelKeyRequest = {
  images: [image('a'), image('b')],
  provenance: {
    source: 'dav3',
    model: 'da3-small',
    settings: { resolution: 504, rays: true, window: { x: 0.5, y: -2 } },
    weightsSha256: image('c'),
    licence: { name: 'Apache-2.0', commercialUse: true },
  },
  height: 56,
  width: 70,
};

const withProvenance = (change: object): LabelKeyRequest => ({
  ...REQUEST,
  provenance: { ...REQUEST.provenance, ...change },
});

describe('labelKey', () => {
  it('keeps its values: a store that was written once is found again', () => {
    expect(labelKey(REQUEST)).toBe(
      '7eb6ea6bc77ebc1de72f60f96582bf82bdef42d1884a128df2483bae7871b581',
    );
    const { source, model, settings, licence } = REQUEST.provenance;
    const small = { images: [image('a')], provenance: { source, model, settings, licence } };
    expect(labelKey(small)).toBe(
      'ee8ccfbed8aff618cdccb43ff0ea5ca5a1077a2e8613d78085f3fee85cfb80a0',
    );
  });

  it('does not see the order of settings, absent members and the licence', () => {
    const settings = { window: { y: -2, x: 0.5 }, rays: true, resolution: 504, other: undefined };
    const licence = { name: 'unknown', commercialUse: false };
    expect(labelKey(withProvenance({ settings, licence }))).toBe(labelKey(REQUEST));
  });

  it('is another one for anything that changes a value', () => {
    const { weightsSha256: _, ...withoutWeights } = REQUEST.provenance;
    const { height: __, ...withoutHeight } = REQUEST;
    const requests: LabelKeyRequest[] = [
      REQUEST,
      { ...REQUEST, images: [image('b'), image('a')] },
      { ...REQUEST, images: [image('a')] },
      { ...REQUEST, height: 70, width: 56 },
      withoutHeight,
      withProvenance({ source: 'vggt' }),
      withProvenance({ model: 'da3-base' }),
      withProvenance({ settings: {} }),
      withProvenance({ settings: { ...REQUEST.provenance.settings, resolution: 518 } }),
      withProvenance({ settings: { ...REQUEST.provenance.settings, resolution: '504' } }),
      withProvenance({ settings: { ...REQUEST.provenance.settings, rays: null } }),
      withProvenance({ weightsSha256: image('d') }),
      { ...REQUEST, provenance: withoutWeights },
    ];
    expect(new Set(requests.map(labelKey)).size).toBe(requests.length);
  });

  it.each([[Number.NaN], [Number.POSITIVE_INFINITY], [new Map()], [() => 1], [1n]])(
    'refuses the setting %p',
    (value) => {
      expect(() => labelKey(withProvenance({ settings: { value } }))).toThrow(
        expect.objectContaining({ code: 'CONFIG_INVALID' }),
      );
    },
  );
});

describe('canonicalJson', () => {
  it('orders members and leaves no space', () => {
    const value = { b: [1, -0, 1e21, 'ü"', null], a: { z: false, Z: undefined } };
    expect(canonicalJson(value)).toBe('{"a":{"z":false},"b":[1,0,1e+21,"ü\\"",null]}');
  });
});
