import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import path from 'node:path';
import { parseDa3Config, variantConfig } from './da3-config.js';
import { da3Shapes, isRead, publishedNames } from './da3-names.js';
import { DA3_VARIANTS } from './da3-variants.js';

interface Variant {
  readonly config: Record<string, unknown>;
  readonly tensors: number;
  readonly parameters: number;
  readonly sha256: string;
}

const { variants } = JSON.parse(
  readFileSync(path.join(__dirname, '__golden__/variants/case.json'), 'utf8'),
) as { variants: Record<string, Variant> };

const product = (shape: readonly number[]) => shape.reduce((a, b) => a * b, 1);

describe.each(Object.keys(variants))('%s', (name) => {
  const variant = variants[name]!;
  const shapes = da3Shapes(variantConfig(name));

  it('has the tensors of the official code, by name and shape', () => {
    const lines = Object.keys(shapes)
      .sort()
      .map((key) => `${key} ${shapes[key]!.join(',')}\n`);
    expect(lines.length).toBe(variant.tensors);
    expect(Object.values(shapes).reduce((sum, shape) => sum + product(shape), 0)).toBe(
      variant.parameters,
    );
    expect(createHash('sha256').update(lines.join('')).digest('hex')).toBe(variant.sha256);
  });

  it('reads the configuration of the Hub as the one behind its name', () => {
    const { config } = variant;
    expect(parseDa3Config({ model_name: name, config })).toEqual(variantConfig(name));
    expect(variantConfig(`${name}-1.1`)).toEqual({
      ...variantConfig(name),
      modelName: `${name}-1.1`,
    });
  });
});

it('knows every released variant and its licence', () => {
  expect(DA3_VARIANTS).toEqual(Object.keys(variants));
  const commercial = DA3_VARIANTS.filter((name) => variantConfig(name).licence.commercialUse);
  expect(commercial).toEqual(['da3-small', 'da3-base', 'da3mono-large', 'da3metric-large']);
});

it('leaves out the output layers that nothing reads', () => {
  const names = Object.keys(da3Shapes(variantConfig('da3-small')));
  const unread = names.filter((name) => !isRead(name));
  // Five convolutions and two further ones, at three levels, with weight and bias each.
  expect(unread.length).toBe(3 * (5 + 2) * 2);
  expect(unread.filter((name) => /aux\.3\.|conv2_aux\.0\.2\./.test(name))).toEqual([]);
});

describe('names of older files', () => {
  const published = (...names: string[]) => Object.fromEntries(publishedNames(names));

  it.each([
    ['module.net.pretrained.norm.weight', 'model.backbone.pretrained.norm.weight'],
    ['module.backbone.pretrained.camera_token_extra', 'model.backbone.pretrained.camera_token'],
    ['module.all_heads.camera_cond_head.trunk.0.ls1.gamma', 'model.cam_enc.trunk.0.ls1.gamma'],
    ['module.all_heads.camera_head.more_mlps.0.weight', 'model.cam_dec.backbone.0.weight'],
    ['module.all_heads.camera_head.fc_rot.weight', 'model.cam_dec.fc_qvec.weight'],
    [
      'module.all_heads.head.scratch.refinenet1_ray.out_conv.bias',
      'model.head.scratch.refinenet1_aux.out_conv.bias',
    ],
    [
      'head.scratch.output_conv2_additional.sky_mask.0.bias',
      'model.head.scratch.sky_output_conv2.0.bias',
    ],
    ['model.head.projects.0.bias', 'model.head.projects.0.bias'],
  ])('%s becomes %s', (old, name) => {
    expect(published(old)).toEqual({ [name]: old });
  });

  it('takes the shared layer norm once, under any of its names', () => {
    const norm = (level: number) => `model.head.scratch.output_conv2_aux.${level}.2.weight`;
    expect(published(norm(3), norm(0), norm(1))).toEqual({ [norm(0)]: norm(0) });
    expect(published(norm(2))).toEqual({ [norm(0)]: norm(2) });
  });

  it('prefers the extra camera token, and leaves the Gaussian branch out', () => {
    const token = 'module.backbone.pretrained.camera_token';
    expect(published(token, `${token}_extra`, 'model.gs_head.norm.weight')).toEqual({
      'model.backbone.pretrained.camera_token': `${token}_extra`,
    });
    expect(published('model.da3.gs_adapter.x', 'module.gaussian_param_head.norm.bias')).toEqual({});
  });
});

describe('configurations that were never released', () => {
  const small = variants['da3-small']!.config as { net: object; head: object };
  const parse = (config: unknown) => () => parseDa3Config({ model_name: 'da3-small', config });
  const invalid = expect.objectContaining({ code: 'CONFIG_INVALID' });

  it.each([
    ['no name', () => parseDa3Config({})],
    ['an unknown name', () => parseDa3Config({ model_name: 'da4-small' })],
    ['another vision transformer', parse({ ...small, net: { ...small.net, name: 'vith' } })],
    ['several starts', parse({ ...small, net: { ...small.net, rope_start: 5 } })],
    ['taps in disorder', parse({ ...small, net: { ...small.net, out_layers: [5, 5, 9, 11] } })],
    ['taps beyond the last block', parse({ ...small, net: { ...small.net, depth: 10 } })],
    ['heads that do not divide', parse({ ...small, net: { ...small.net, num_heads: 7 } })],
    ['no camera encoder', parse({ ...small, cam_enc: null })],
    [
      'two metric networks',
      parse({
        anyview: variants['da3mono-large']!.config,
        metric: variants['da3mono-large']!.config,
      }),
    ],
  ])('%s', (_, read) => {
    expect(read).toThrow(invalid);
  });
});
