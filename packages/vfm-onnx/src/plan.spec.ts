import type { GraphValueInfo } from '@spatialsv/core/kit';
import { type ManifestInput, parseManifest } from './manifest.js';
import { makePlan, type Plan } from './plan.js';

type Shape = readonly number[];
type Dtype = GraphValueInfo['dtype'];
const port = (name: string, shape: Shape, dtype: Dtype = 'float32'): GraphValueInfo => ({
  name,
  shape,
  dtype,
});
const ports = (entries: Readonly<Record<string, Shape>>): GraphValueInfo[] =>
  Object.entries(entries).map(([name, shape]) => port(name, shape));

const plan = (
  inputs: readonly GraphValueInfo[],
  outputs: readonly GraphValueInfo[],
  manifest: ManifestInput = {},
): Plan => makePlan({ path: 'model.onnx', inputs, outputs }, parseManifest(manifest, 'test'));

const refused = (
  inputs: readonly GraphValueInfo[],
  outputs: readonly GraphValueInfo[],
  manifest: ManifestInput,
  expected: { code?: string; message?: string; hint?: string },
) => {
  const { code = 'CONFIG_INVALID', message = '', hint = '' } = expected;
  expect(() => plan(inputs, outputs, manifest)).toThrow(
    expect.objectContaining({
      code,
      message: expect.stringContaining(message),
      hint: expect.stringContaining(hint),
    }),
  );
};

const ANY = [-1, -1, -1, -1];
const images = ports({ images: [1, 2, 3, 518, 518] });
const vggt = ports({ pose_enc: [1, 2, 9], depth: [1, 2, 518, 518, 1], depth_conf: ANY });
const da3Input = ports({ pixel_values: [1, -1, 3, -1, -1] });
const da3 = ports({ predicted_depth: ANY, confidence: ANY, extrinsics: ANY, intrinsics: ANY });

describe('the plan of a graph', () => {
  it('is complete for exports whose names are known', () => {
    expect(plan(images, vggt)).toEqual({
      input: {
        name: 'images',
        rank: 5,
        normalisation: 'unit',
        size: { height: 518, width: 518 },
        resize: 'pillow-bicubic',
        fit: 'centre-crop',
        alpha: 'white',
      },
      views: 2,
      outputs: {
        depth: { name: 'depth', kind: 'z-depth' },
        pose: { name: 'pose_enc', encoding: 'vggt-w2c' },
        depthConfidence: 'depth_conf',
      },
      pixelCentre: 'integer',
      scale: 'relative',
    });
    expect(plan(da3Input, da3)).toMatchObject({ views: 'any', pixelCentre: 'half' });
  });

  it('takes views from the first dimension of rank 4, where there are cameras', () => {
    const outputs = ports({
      pose_encoding: [-1, 9],
      depth_map: [-1, -1, -1, 1],
      depth_confidence: ANY,
    });
    expect(plan(ports({ images: [-1, 3, -1, -1] }), outputs)).toMatchObject({
      input: { rank: 4, size: { multipleOf: 14, longestSide: 518 } },
      views: 'any',
    });
    expect(plan(ports({ images: [3, 3, -1, -1] }), outputs).views).toBe(3);
  });

  it('labels one image at a time where a graph of rank 4 gives no cameras', () => {
    const manifest: ManifestInput = {
      input: { normalisation: 'imagenet', size: { multipleOf: 14, longestSide: 504 } },
      fieldOfViewDegrees: 65,
    };
    const mono = [ports({ image: [-1, 3, -1, -1] }), ports({ depth: ANY })] as const;
    expect(plan(...mono, manifest).views).toBe(1);
    refused(...mono, { ...manifest, views: 'any' }, { hint: '"views": 1' });
  });

  it('finds the images among several inputs by a known name, but feeds nothing else', () => {
    const outputs = ports({ depth: ANY, extrinsics_out: ANY, intrinsics_out: ANY });
    const inputs = ports({ image: [1, -1, 3, -1, -1], extrinsics_in: [1, -1, 4, 4] });
    refused(inputs, outputs, {}, { message: 'besides images it needs extrinsics_in' });
    refused(ports({ a: [1, 3, -1, -1], b: [1, 3, -1, -1] }), outputs, {}, { message: '0 inputs' });
  });
});

describe('a plan says what is missing, with the names of the graph', () => {
  const named: ManifestInput = { input: { normalisation: 'unit' } };
  it.each<[string, Parameters<typeof refused>]>([
    [
      'depth under an unknown name',
      [images, ports({ z: ANY, pose_enc: ANY }), {}, { message: 'z float32 (?, ?, ?, ?)' }],
    ],
    [
      'two outputs that could be depth',
      [
        images,
        ports({ depth: ANY, metric_depth: ANY, pose_enc: ANY }),
        {},
        { message: 'depth and metric_depth could both be the depth', hint: '"outputs.depth"' },
      ],
    ],
    [
      'a kind of depth',
      [
        images,
        ports({ z: ANY, pose_enc: ANY }),
        { outputs: { depth: 'z' } },
        { message: 'nothing says which kind the depth "z" has' },
      ],
    ],
    [
      'the direction of matrices',
      [
        da3Input,
        ports({ predicted_depth: ANY, pose: ANY, intrinsics: ANY }),
        { outputs: { extrinsics: 'pose' } },
        { message: 'which direction the extrinsics "pose"' },
      ],
    ],
    [
      'the encoding of poses',
      [
        images,
        ports({ depth: ANY, camera: ANY }),
        { outputs: { pose: 'camera' } },
        { message: 'which encoding the pose "camera"' },
      ],
    ],
    [
      'poses and matrices',
      [
        images,
        ports({ depth: ANY, pose_enc: ANY, extrinsics: ANY, intrinsics: ANY }),
        {},
        { message: 'pose_enc and extrinsics both give cameras' },
      ],
    ],
    [
      'no cameras',
      [da3Input, ports({ predicted_depth: ANY }), {}, { message: 'where the cameras are' }],
    ],
    [
      'no intrinsics',
      [
        da3Input,
        ports({ predicted_depth: ANY, extrinsics: ANY }),
        {},
        { hint: 'fieldOfViewDegrees' },
      ],
    ],
    [
      'a field of view besides intrinsics',
      [images, vggt, { fieldOfViewDegrees: 60 }, { message: 'pose_enc both give intrinsics' }],
    ],
    [
      'depth and points',
      [
        images,
        ports({ depth: ANY, world_points: ANY, pose_enc: ANY }),
        { outputs: { depth: 'depth', points: 'world_points' } },
        { message: '"outputs" names depth and points' },
      ],
    ],
    [
      'no normalisation',
      [
        ports({ image: [1, -1, 3, 28, 28] }),
        ports({ depth: ANY, extrinsics: ANY, intrinsics: ANY }),
        {},
        { hint: '"normalisation": "unit"' },
      ],
    ],
    [
      'no size',
      [
        ports({ image: [1, -1, 3, -1, -1] }),
        ports({ depth: ANY, extrinsics: ANY, intrinsics: ANY }),
        named,
        { hint: '"multipleOf": 14' },
      ],
    ],
    [
      'a name that the graph does not have',
      [
        images,
        vggt,
        { outputs: { depthConfidence: 'depth_cnf' } },
        { message: 'outputs.depthConfidence names "depth_cnf"', hint: '"depth_conf"' },
      ],
    ],
    ['another number of views', [images, vggt, { views: 4 }, { message: 'the graph takes 2' }]],
    ['any number of views', [images, vggt, { views: 'any' }, { message: 'the graph takes 2' }]],
    [
      'another size',
      [
        images,
        vggt,
        { input: { size: { height: 392, width: 518 } } },
        { message: 'the graph takes 518×518' },
      ],
    ],
    [
      'an open size for a graph of fixed size',
      [
        images,
        vggt,
        { input: { size: { multipleOf: 14, longestSide: 504 } } },
        { message: 'the graph takes 518×518' },
      ],
    ],
    [
      'channels last',
      [ports({ images: [1, 2, 518, 518, 3] }), vggt, {}, { code: 'SHAPE_MISMATCH' }],
    ],
    [
      'batches of several requests',
      [ports({ images: [2, 2, 3, 518, 518] }), vggt, {}, { code: 'SHAPE_MISMATCH' }],
    ],
    [
      'another rank',
      [images, vggt, { input: { rank: 4 } }, { code: 'SHAPE_MISMATCH', message: 'of rank 4' }],
    ],
    [
      'half-precision images',
      [
        [port('images', [1, 2, 3, 518, 518], 'float16')],
        vggt,
        {},
        { code: 'DTYPE_UNSUPPORTED', message: 'expected float32' },
      ],
    ],
    [
      'half-precision results',
      [
        images,
        [...vggt.slice(0, 1), port('depth', ANY, 'float16')],
        {},
        { code: 'DTYPE_UNSUPPORTED', message: 'the depth "depth" is float16' },
      ],
    ],
  ])('%s', (_, parameters) => refused(...parameters));

  it('a rank that the graph does not declare', () => {
    const [input, manifest] = [ports({ images: [] }), { input: { rank: 4 } } as const];
    refused(input, vggt, {}, { code: 'SHAPE_MISMATCH', hint: '"rank": 4 or 5' });
    expect(plan(input, vggt, manifest).input.rank).toBe(4);
  });

  it('settles poses and matrices by the one that is named', () => {
    const both = ports({ depth: ANY, pose_enc: ANY, extrinsics: ANY, intrinsics: ANY });
    expect(plan(images, both, { outputs: { pose: 'pose_enc' } }).outputs).not.toHaveProperty(
      'extrinsics',
    );
    const matrices = plan(images, both, { ...named, outputs: { extrinsics: 'extrinsics' } });
    expect(matrices.outputs).toMatchObject({
      extrinsics: { name: 'extrinsics', direction: 'w2c' },
      intrinsics: 'intrinsics',
    });
    expect(matrices.outputs).not.toHaveProperty('pose');
  });

  it('takes depth from points where there is none, or where only points are named', () => {
    const outputs = ports({ world_points: ANY, pose_enc: ANY });
    expect(plan(images, outputs).outputs).toMatchObject({ points: { name: 'world_points' } });
    const both = ports({ world_points: ANY, depth: ANY, pose_enc: ANY });
    expect(plan(images, both).outputs).not.toHaveProperty('points');
    const said = plan(images, both, { outputs: { points: 'world_points' } });
    expect(said.outputs).not.toHaveProperty('depth');
  });
});
