import { parseVggtConfig, RELEASED_VGGT, vggtConfigFile } from './vggt-config.js';

const invalid = expect.objectContaining({ code: 'CONFIG_INVALID' });

describe('config.json', () => {
  it('means the released model where it says nothing else', () => {
    const published = { img_size: 518, patch_size: 14, embed_dim: 1024, enable_track: true };
    expect(parseVggtConfig(published)).toEqual(RELEASED_VGGT);
    expect(RELEASED_VGGT).toMatchObject({
      width: 1024,
      aggregator: { depth: 24, heads: 16 },
      dense: { features: 256, stageChannels: [256, 512, 1024, 1024], taps: [4, 11, 17, 23] },
    });
  });

  it('is written as it is read', () => {
    const config = parseVggtConfig({ embed_dim: 64, depth: 30, enable_point: false });
    expect(parseVggtConfig(vggtConfigFile(config))).toEqual(config);
  });

  it.each([
    ['a width that is no number', { embed_dim: 'wide' }],
    ['no camera head', { enable_camera: false }],
    ['no depth head', { enable_depth: false }],
    ['three taps', { dpt_layers: [0, 1, 2] }],
    ['a tap beyond the last step', { dpt_layers: [4, 11, 17, 24] }],
    ['heads that do not divide the width', { encoder_heads: 3 }],
    ['heads whose width is no multiple of four', { embed_dim: 96, num_heads: 16 }],
    ['a table of broken patches', { img_size: 520 }],
    ['stages without place for the position embedding', { dpt_out_channels: [2, 4, 8, 8] }],
    ['features without place for it', { dpt_features: 12 }],
    ['camera heads that do not divide its width', { camera_heads: 7 }],
  ])('is refused with %s', (_, content) => {
    expect(() => parseVggtConfig(content)).toThrow(invalid);
  });
});
