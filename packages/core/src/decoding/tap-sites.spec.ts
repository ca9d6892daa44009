import { layerOfSite, parseLayer, parseTapSite, siteOfLayer } from './tap-sites.js';

const depths = { layers: 4, visionBlocks: 2 };

describe('siteOfLayer', () => {
  it('numbers embedding, blocks and final norm as the paper does', () => {
    const sites = [0, 1, 2, 3, 4].map((layer) => siteOfLayer(layer, 4));
    expect(sites).toEqual(['embedding', 'layer:1', 'layer:2', 'layer:3', 'final']);
    expect(sites.map((site) => layerOfSite(site, 4))).toEqual([0, 1, 2, 3, 4]);
  });

  it.each([-1, 5, 1.5, Number.NaN])('refuses %d', (layer) => {
    expect(() => siteOfLayer(layer, 4)).toThrow(expect.objectContaining({ code: 'TAP_UNKNOWN' }));
  });
});

describe('parseTapSite', () => {
  it.each(['embedding', 'layer:1', 'layer:3', 'final', 'vision:0', 'vision:2', 'projector'])(
    'knows %s',
    (text) => {
      expect(parseTapSite(text, depths)).toBe(text);
    },
  );

  it.each(['', 'layer:0', 'layer:4', 'layer:-1', 'layer:1.5', 'vision:3', 'vision', '2', 'Final'])(
    'refuses "%s" and says what there is',
    (text) => {
      expect(() => parseTapSite(text, depths)).toThrow(
        expect.objectContaining({
          code: 'TAP_UNKNOWN',
          message: expect.stringContaining('layer:1 … layer:3, final, vision:0 … vision:2'),
        }),
      );
    },
  );
});

describe('parseLayer', () => {
  it('takes numbers and names of sites of the decoder', () => {
    const taps = [0, 'embedding', 3, 'layer:3', 'final', 4];
    expect(taps.map((tap) => parseLayer(tap, depths))).toEqual([0, 0, 3, 3, 4, 4]);
  });

  it.each([
    [5, '0 (embeddings) to 4'],
    [-1, '0 (embeddings) to 4'],
    ['layer:4', 'layer:1 … layer:3'],
    ['vision:1', 'found a site of views'],
    ['projector', 'found a site of views'],
  ])('refuses %p: %s', (tap, told) => {
    expect(() => parseLayer(tap, depths)).toThrow(
      expect.objectContaining({ code: 'TAP_UNKNOWN', message: expect.stringContaining(told) }),
    );
  });
});
