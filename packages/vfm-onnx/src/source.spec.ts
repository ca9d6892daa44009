import { createHash } from 'node:crypto';
import { mkdir, readFile, rename, symlink, writeFile } from 'node:fs/promises';
import path from 'node:path';
import {
  composeRigid,
  encodePose,
  intrinsicsFromFov,
  invertRigid,
  quaternionToMatrix,
  rigidFrom,
} from '@spatialsv/core/kit';
import type { GeometryLabelsV1 } from '@spatialsv/core/spec';
import { expectAllclose, withTemporaryFolder } from '@spatialsv/core/testing';
import { MANIFEST_FILE, type ManifestInput } from './manifest.js';
import { onnxSource } from './plugin.js';
import { colourOf, writeImages } from './testing/images.js';
import { type OnnxGraph, writeOnnx } from './testing/onnx-file.js';
import { da3Graph, IDENTITY, monoGraph, vggtGraph } from './testing/tiny-graphs.js';

const SIZE = { width: 28, height: 14 };
const PIXELS = SIZE.width * SIZE.height;
const MEAN = [0.485, 0.456, 0.406];
const DEVIATION = [0.229, 0.224, 0.225];
const K = [30, 0, 14, 0, 31, 7, 0, 0, 1];
/** The tiny Depth Anything graph, with images of their own size. */
const DA3_SIZE = { input: { size: { multipleOf: 14, longestSide: 28 } } };

/** Mean of the channels of a pixel, normalised. */
const grey = (view: number, pixel: number, normalisation: 'unit' | 'imagenet'): number => {
  const [y, x] = [Math.floor(pixel / SIZE.width), pixel % SIZE.width];
  return [0, 1, 2].reduce((sum, c) => {
    const value = colourOf(view, y, x, c) / 255;
    return sum + (normalisation === 'unit' ? value : (value - MEAN[c]!) / DEVIATION[c]!) / 3;
  }, 0);
};
const greyMap = (views: number, normalisation: 'unit' | 'imagenet', offset: number): number[] =>
  Array.from(
    { length: views * PIXELS },
    (_, i) => offset + grey(Math.floor(i / PIXELS), i % PIXELS, normalisation),
  );
const brightness = (view: number): number =>
  greyMap(view + 1, 'imagenet', 0)
    .slice(view * PIXELS)
    .reduce((sum, value) => sum + value, 0) / PIXELS;

interface Setting {
  readonly graph: OnnxGraph;
  readonly manifest?: ManifestInput;
  readonly views?: number;
  readonly size?: { readonly width: number; readonly height: number };
  readonly request?: { readonly height?: number; readonly width?: number };
}

/** Labels that a graph gives for images of a size. */
const label = async ({
  graph,
  manifest,
  views = 2,
  size = SIZE,
  request = {},
}: Setting): Promise<GeometryLabelsV1> => {
  let labels: GeometryLabelsV1 | undefined;
  await withTemporaryFolder(async (folder) => {
    await writeOnnx(path.join(folder, 'model.onnx'), graph);
    if (manifest) await writeFile(path.join(folder, MANIFEST_FILE), JSON.stringify(manifest));
    const labeller = await onnxSource.open({ weights: folder });
    try {
      const images = await writeImages(folder, views, size);
      labels = await labeller.doLabel({ images, ...request });
    } finally {
      await labeller.dispose();
    }
  });
  return labels!;
};

const TOLERANCE = { rtol: 1e-5, atol: 1e-5 };

describe('an export of Depth Anything 3', () => {
  it('is understood by its names: ImageNet pixels, world-to-camera matrices, the first camera as world', async () => {
    const labels = await label({
      graph: da3Graph({ intrinsics: K }),
      manifest: DA3_SIZE,
      views: 3,
    });
    expect(labels).toMatchObject({
      views: 3,
      ...SIZE,
      conventions: {
        axes: 'opencv',
        extrinsics: 'world-to-camera',
        pixelCentre: 'half',
        depth: 'z-depth',
        scale: 'relative',
        world: 'first-camera',
      },
    });
    expectAllclose(labels.depth, greyMap(3, 'imagenet', 3), TOLERANCE);
    expectAllclose(labels.depthConfidence!, greyMap(3, 'imagenet', 4), TOLERANCE);
    expect(labels.mask.every((value) => value === 1)).toBe(true);
    expect([...labels.intrinsics]).toEqual([...K, ...K, ...K]);
    expect([...labels.extrinsicsWorldToCamera.slice(0, 12)]).toEqual([...IDENTITY]);
    for (const view of [1, 2]) {
      const moved = brightness(view) - brightness(0);
      const expected = [1, 0, 0, 0.5 * moved, 0, 1, 0, 0, 0, 0, 1, 0.25 * moved];
      expectAllclose(labels.extrinsicsWorldToCamera.slice(12 * view, 12 * view + 12), expected, {
        atol: 1e-5,
      });
    }
  });

  it('may give camera-to-world matrices of four rows, when the description says so', async () => {
    const angled = rigidFrom(quaternionToMatrix([0.1, -0.2, 0.3, 0.9]), [0.3, -0.4, 1.2]);
    const labels = await label({
      graph: da3Graph({ intrinsics: K, pose: angled, rows: 4 }),
      manifest: {
        ...DA3_SIZE,
        outputs: { extrinsics: { name: 'extrinsics', direction: 'c2w' }, intrinsics: 'intrinsics' },
      },
    });
    const toWorld = [0, 1].map((view) =>
      angled.map((value, i) => value + brightness(view) * ({ 3: 0.5, 11: 0.25 }[i] ?? 0)),
    );
    const expected = composeRigid(invertRigid(toWorld[1]!), toWorld[0]!);
    expectAllclose(labels.extrinsicsWorldToCamera.slice(12), expected, { atol: 1e-5 });
  });

  it('may give lengths along the ray, which become z-depth', async () => {
    const labels = await label({
      graph: da3Graph({ intrinsics: K }),
      manifest: {
        ...DA3_SIZE,
        outputs: { depth: { name: 'predicted_depth', kind: 'ray-length' } },
      },
    });
    const expected = greyMap(2, 'imagenet', 3).map((length, i) => {
      const [x, y] = [i % SIZE.width, Math.floor((i % PIXELS) / SIZE.width)];
      return length / Math.hypot((x + 0.5 - 14) / 30, (y + 0.5 - 7) / 31, 1);
    });
    expect(labels.conventions.depth).toBe('z-depth');
    expectAllclose(labels.depth, expected, TOLERANCE);
  });

  it('may be metric for a canonical focal length', async () => {
    const labels = await label({
      graph: da3Graph({ intrinsics: K }),
      manifest: {
        ...DA3_SIZE,
        scale: 'metric-metres',
        outputs: { depth: { name: 'predicted_depth', canonicalFocal: 300 } },
      },
    });
    expect(labels.conventions.scale).toBe('metric-metres');
    const expected = greyMap(2, 'imagenet', 3).map((value) => (value * 30.5) / 300);
    expectAllclose(labels.depth, expected, TOLERANCE);
  });

  it('labels one image alone where it was traced for one', async () => {
    const graph = da3Graph({ intrinsics: K, input: [1, 1, 3, 14, 28] });
    const labels = await label({ graph, views: 1 });
    expectAllclose(labels.depth, greyMap(1, 'imagenet', 3), TOLERANCE);
    expect([...labels.extrinsicsWorldToCamera]).toEqual([...IDENTITY]);
    await expect(label({ graph })).rejects.toMatchObject({
      code: 'DATA_INVALID',
      hint: expect.stringContaining('one image at a time'),
    });
  });
});

const SECOND = rigidFrom(quaternionToMatrix([0.02, -0.1, 0.03, 0.99]), [0.3, -0.4, 0.2]);
const camera = (extrinsicsWorldToCamera: readonly number[], fovHeightRad: number) => ({
  extrinsicsWorldToCamera,
  intrinsics: intrinsicsFromFov({ fovHeightRad, fovWidthRad: 1.1 }, SIZE),
});
const CAMERAS = [camera([...IDENTITY], 0.8), camera(SECOND, 0.9)];
const POSES = CAMERAS.flatMap((each) => encodePose(each, SIZE));

describe('an export of VGGT', () => {
  it('is understood by its names: pixels from 0 to 1, world-to-camera poses', async () => {
    const labels = await label({ graph: vggtGraph({ poses: POSES, ...SIZE }) });
    expectAllclose(labels.depth, greyMap(2, 'unit', 1), TOLERANCE);
    expectAllclose(labels.depthConfidence!, greyMap(2, 'unit', 1), TOLERANCE);
    expectAllclose(
      labels.intrinsics,
      CAMERAS.flatMap(({ intrinsics }) => intrinsics),
      TOLERANCE,
    );
    expectAllclose(labels.extrinsicsWorldToCamera, [...IDENTITY, ...SECOND], { atol: 1e-6 });
  });

  it('may have poses of the other direction, under names of its own', async () => {
    const names = { pose_enc: 'camera', depth: 'z', depth_conf: 'certainty' };
    const labels = await label({
      graph: vggtGraph({ poses: POSES, ...SIZE, names }),
      manifest: {
        input: { normalisation: 'unit' },
        outputs: {
          depth: { name: 'z', kind: 'z-depth' },
          pose: { name: 'camera', encoding: 'da3-c2w' },
          depthConfidence: 'certainty',
        },
      },
    });
    expectAllclose(labels.extrinsicsWorldToCamera.slice(12), invertRigid(SECOND), { atol: 1e-6 });
  });

  it('is refused for another number of views than it was traced for', async () => {
    const graph = vggtGraph({ poses: POSES, ...SIZE });
    await expect(label({ graph, views: 4 })).rejects.toMatchObject({
      code: 'DATA_INVALID',
      message: expect.stringContaining('expected 2 images, as many as it was traced for, found 4'),
    });
    await expect(label({ graph, views: 1 })).rejects.toMatchObject({ code: 'DATA_INVALID' });
  });

  it('takes the middle of images of another shape, and masks the rest', async () => {
    const size = { width: 40, height: 14 };
    const labels = await label({ graph: vggtGraph({ poses: POSES, ...SIZE }), size });
    expect(labels).toMatchObject(size);
    const row = [...labels.mask.slice(0, 40)];
    expect(row).toEqual([...Array(6).fill(0), ...Array(28).fill(1), ...Array(6).fill(0)]);
    const expected = [0, 1, 2].reduce((sum, c) => sum + colourOf(0, 0, 6, c) / 255 / 3, 1);
    expect(labels.depth[6]).toBeCloseTo(expected, 5);
    expect(labels.depth[5]).toBe(0);
    const [fx, , cx] = CAMERAS[0]!.intrinsics;
    expectAllclose(labels.intrinsics.slice(0, 3), [fx!, 0, cx! + 6], TOLERANCE);
  });

  it('sees whole images stretched where the description says so', async () => {
    const labels = await label({
      graph: vggtGraph({ poses: POSES, ...SIZE }),
      manifest: { input: { fit: 'stretch' } },
      size: { width: 40, height: 14 },
    });
    expect(labels).toMatchObject(SIZE);
    expect(labels.mask.every((value) => value === 1)).toBe(true);
  });

  it('gives labels of any size that is asked for', async () => {
    const graph = vggtGraph({ poses: POSES, ...SIZE });
    const labels = await label({ graph, request: { height: 7, width: 14 } });
    expect(labels).toMatchObject({ height: 7, width: 14 });
    const half = CAMERAS[0]!.intrinsics.map((value, i) => (i < 6 ? value / 2 : value));
    // Pixels count from 0: their centres lie half a pixel behind the edges, which scale.
    half[2]! -= 0.25;
    half[5]! -= 0.25;
    expect(labels.conventions.pixelCentre).toBe('integer');
    expectAllclose(labels.intrinsics.slice(0, 9), half, TOLERANCE);
    expect(labels.depth[0]).toBeCloseTo(1 + grey(0, SIZE.width + 1, 'unit'), 5);
  });
});

describe('a graph of a single view', () => {
  const manifest: ManifestInput = {
    input: { normalisation: 'unit', size: { multipleOf: 14, longestSide: 28 } },
    fieldOfViewDegrees: 60,
  };

  it('gets its camera from the field of view, and no label where it sees sky', async () => {
    const labels = await label({ graph: monoGraph(), manifest, views: 1 });
    const isSky = Array.from(
      { length: PIXELS },
      (_, i) => colourOf(0, Math.floor(i / SIZE.width), i % SIZE.width, 0) >= 127.5,
    );
    expect([...labels.mask]).toEqual(isSky.map((sky) => (sky ? 0 : 1)));
    const depth = greyMap(1, 'unit', 1).map((value, i) => (isSky[i] ? 0 : value));
    expectAllclose(labels.depth, depth, TOLERANCE);
    const focal = 14 / Math.tan(Math.PI / 6);
    expectAllclose(labels.intrinsics, [focal, 0, 14, 0, focal, 7, 0, 0, 1], TOLERANCE);
  });

  it('keeps sky, with another threshold or none at all', async () => {
    for (const sky of [false, { name: 'sky', threshold: 2 }] as const) {
      const { mask } = await label({
        graph: monoGraph(),
        manifest: { ...manifest, outputs: { sky } },
        views: 1,
      });
      expect(mask.every((value) => value === 1)).toBe(true);
    }
  });

  it('labels one image at a time', async () => {
    await expect(label({ graph: monoGraph(), manifest })).rejects.toMatchObject({
      code: 'DATA_INVALID',
      message: expect.stringContaining('expected 1 image'),
    });
  });

  it('says which field of view to write when there is none', async () => {
    const { fieldOfViewDegrees: _, ...without } = manifest;
    await expect(label({ graph: monoGraph(), manifest: without })).rejects.toMatchObject({
      code: 'CONFIG_INVALID',
      hint: expect.stringContaining('fieldOfViewDegrees'),
    });
  });
});

describe('a graph that gives points', () => {
  it('has the depth of the points in their cameras', async () => {
    const { nodes, constants, outputs, ...rest } = vggtGraph({ poses: POSES, ...SIZE });
    const points: OnnxGraph = {
      ...rest,
      outputs: [outputs[0]!, { name: 'world_points', shape: [1, 2, SIZE.height, SIZE.width, 3] }],
      constants: { ...constants, ahead: { shape: [3], floats: [0, 0, 3] } },
      nodes: [
        ...nodes.slice(0, 3),
        {
          op: 'Concat',
          inputs: ['depth', 'depth', 'depth'],
          output: 'xyz',
          attributes: { axis: 4 },
        },
        { op: 'Add', inputs: ['xyz', 'ahead'], output: 'world_points' },
        nodes.at(-1)!,
      ],
    };
    const labels = await label({ graph: points });
    const depth = greyMap(2, 'unit', 1);
    const [a, b, c, t] = SECOND.slice(8) as [number, number, number, number];
    const expected = depth.map((d, i) => (i < PIXELS ? d + 3 : a * d + b * d + c * (d + 3) + t));
    expectAllclose(labels.depth, expected, TOLERANCE);
    expect(labels.depthConfidence).toBeUndefined();
  });
});

describe('a graph that gives features', () => {
  /** Tokens: one of zeros, then the mean colour of each patch. */
  const withTokens = (): OnnxGraph => {
    const graph = da3Graph({ intrinsics: K, input: [1, -1, 3, 14, 28] });
    return {
      ...graph,
      outputs: [...graph.outputs, { name: 'tokens', shape: [-1, 3, 3] }],
      constants: {
        ...graph.constants,
        patches: { shape: [5], integers: [-1, 3, 14, 2, 14] },
        insidePatches: { shape: [2], integers: [2, 4] },
        oneBefore: { shape: [6], integers: [0, 1, 0, 0, 0, 0] },
      },
      nodes: [
        ...graph.nodes,
        { op: 'Reshape', inputs: ['pixel_values', 'patches'], output: 'cut' },
        {
          op: 'ReduceMean',
          inputs: ['cut', 'insidePatches'],
          output: 'channelsFirst',
          attributes: { keepdims: 0 },
        },
        {
          op: 'Transpose',
          inputs: ['channelsFirst'],
          output: 'colours',
          attributes: { perm: [0, 2, 1] },
        },
        { op: 'Pad', inputs: ['colours', 'oneBefore'], output: 'tokens' },
      ],
    };
  };
  const manifest: ManifestInput = {
    input: { normalisation: 'unit' },
    outputs: { features: { name: 'tokens', patch: 14, specialTokens: 1 } },
  };

  it('has those of the patches in its labels', async () => {
    const { features } = await label({ graph: withTokens(), manifest });
    expect(features).toMatchObject({ h: 1, w: 2, channels: 3 });
    const meanColour = (view: number, left: number, channel: number) =>
      Array.from({ length: 14 * 14 }, (_, i) =>
        colourOf(view, Math.floor(i / 14), left + (i % 14), channel),
      ).reduce((sum, value) => sum + value / 255 / 196, 0);
    const expected = [0, 1].flatMap((view) =>
      [0, 14].flatMap((left) => [0, 1, 2].map((channel) => meanColour(view, left, channel))),
    );
    expectAllclose(features!.data, expected, TOLERANCE);
  });

  it('has them on a grid over the whole image where it saw the middle', async () => {
    const size = { width: 56, height: 14 };
    const { features } = await label({ graph: withTokens(), manifest, size });
    expect(features).toMatchObject({ h: 1, w: 4, channels: 3 });
    const [first, second] = [features!.data.slice(0, 3), features!.data.slice(3, 6)];
    expect(first).toEqual(second);
  });
});

describe('results that cannot be labels', () => {
  const sheared = [1, 0.1, 0, 0, 0, 1, 0, 0, 0, 0, 1, 0];
  const mirrored = [-1, 0, 0, 0, 0, 1, 0, 0, 0, 0, 1, 0];
  it.each([
    ['rotations that are none', { pose: sheared }, 'R·Rᵀ differs'],
    ['mirror images', { pose: mirrored }, 'mirror'],
    ['poses that are not finite', { pose: IDENTITY.map(() => Number.NaN) }, 'not finite'],
    ['depth below 0', { depth: [-9, 1] as const }, 'finite depths above 0'],
    ['depth that is not finite', { depth: [Number.NaN, 1] as const }, 'finite depths above 0'],
    [
      'intrinsics of the unit square',
      { intrinsics: [0.1, 0, 0.5, 0, 0.1, 0.5, 0, 0, 1] },
      'pixels',
    ],
    ['infinite focal lengths', { intrinsics: [1 / 0, 0, 14, 0, 1 / 0, 7, 0, 0, 1] }, 'pixels'],
    ['skewed intrinsics', { intrinsics: [30, 5, 14, 0, 31, 7, 0, 0, 1] }, 'pixels'],
  ])('are refused: %s', async (_, options, message) => {
    const graph = da3Graph({ intrinsics: K, ...options });
    await expect(label({ graph, manifest: DA3_SIZE })).rejects.toMatchObject({
      code: 'DATA_INVALID',
      message: expect.stringContaining(message),
    });
  });

  it('are refused: an output of another shape', async () => {
    const manifest = {
      ...DA3_SIZE,
      outputs: { intrinsics: 'extrinsics', extrinsics: { name: 'extrinsics', direction: 'w2c' } },
    } as const;
    const graph = da3Graph({ intrinsics: K });
    await expect(label({ graph, manifest })).rejects.toMatchObject({
      code: 'DATA_INVALID',
      message: expect.stringContaining('(2, 3, 3), found (1, 2, 3, 4)'),
    });
  });

  it('are refused: confidences of 0 or less', async () => {
    const graph = vggtGraph({ poses: POSES, ...SIZE, depthOffset: 2 });
    const minus = graph.constants['one']!;
    const constants = { ...graph.constants, one: { ...minus, floats: [-1] } };
    await expect(label({ graph: { ...graph, constants } })).rejects.toMatchObject({
      code: 'DATA_INVALID',
      message: expect.stringContaining('depth confidence'),
    });
  });

  it('keep single bad pixels, masked', async () => {
    const graph = da3Graph({ intrinsics: K, depth: [0.5, 1] });
    const values = greyMap(2, 'imagenet', 0.5);
    const labels = await label({
      graph,
      manifest: { ...DA3_SIZE, outputs: { depthConfidence: false } },
    });
    expect([...labels.mask]).toEqual(values.map((value) => (value > 1e-6 ? 1 : 0)));
    expect(labels.mask).toContain(0);
    expectAllclose(
      labels.depth,
      values.map((value) => Math.max(value, 0)),
      TOLERANCE,
    );
  });
});

describe('requests', () => {
  const withLabeller = (
    body: (labeller: Awaited<ReturnType<typeof onnxSource.open>>, folder: string) => Promise<void>,
  ) =>
    withTemporaryFolder(async (folder) => {
      await writeOnnx(path.join(folder, 'model.onnx'), da3Graph({ intrinsics: K }));
      const labeller = await onnxSource.open({ weights: folder, settings: DA3_SIZE });
      await body(labeller, folder).finally(() => labeller.dispose());
    });

  it('of no images, or of images that differ in shape, are refused', () =>
    withLabeller(async (labeller, folder) => {
      await expect(labeller.doLabel({ images: [] })).rejects.toMatchObject({
        code: 'DATA_INVALID',
      });
      const [first] = await writeImages(folder, 1, SIZE);
      await mkdir(path.join(folder, 'tall'));
      const [tall] = await writeImages(path.join(folder, 'tall'), 1, { width: 14, height: 28 });
      await expect(labeller.doLabel({ images: [first!, tall!] })).rejects.toMatchObject({
        code: 'DATA_INVALID',
        message: expect.stringContaining('14×28'),
      });
    }));

  it('stop at an aborted signal, and after the end', () =>
    withLabeller(async (labeller, folder) => {
      const images = await writeImages(folder, 2, SIZE);
      const signal = AbortSignal.abort(new Error('enough'));
      await expect(labeller.doLabel({ images, signal })).rejects.toThrow('enough');
      await labeller.dispose();
      await expect(labeller.doLabel({ images })).rejects.toMatchObject({ code: 'DISPOSED' });
    }));
});

describe('the record of a graph', () => {
  const sha256 = (content: Uint8Array | string) =>
    createHash('sha256').update(content).digest('hex');

  it('has every setting, the licence that the description names, and the hash of the file', () =>
    withTemporaryFolder(async (folder) => {
      const weights = await writeOnnx(path.join(folder, 'm.onnx'), da3Graph({ intrinsics: K }));
      const plain = await onnxSource.open({ weights });
      expect(plain.provenance).toEqual({
        source: 'onnx',
        model: 'm',
        weightsSha256: sha256(await readFile(weights)),
        licence: { name: 'unknown', commercialUse: false },
        settings: {
          input: {
            name: 'pixel_values',
            rank: 5,
            normalisation: 'imagenet',
            size: { multipleOf: 14, longestSide: 504 },
            resize: 'opencv',
            fit: 'stretch',
            alpha: 'drop',
          },
          views: 'any',
          outputs: {
            depth: { name: 'predicted_depth', kind: 'z-depth' },
            depthConfidence: 'confidence',
            extrinsics: { name: 'extrinsics', direction: 'w2c' },
            intrinsics: 'intrinsics',
          },
          pixelCentre: 'half',
          scale: 'relative',
        },
      });
      await plain.dispose();
      const licence = { name: 'Apache-2.0', commercialUse: true };
      const settings = { model: 'da3-tiny', licence };
      const said = await onnxSource.open({ weights, settings });
      expect(said.provenance).toMatchObject(settings);
      await said.dispose();
    }));

  it('has a hash of graph and external data, which it finds through the links of a download cache', () =>
    withTemporaryFolder(async (folder) => {
      const [blobs, snapshot] = ['blobs', 'snapshot'].map((name) => path.join(folder, name));
      await mkdir(blobs!);
      await mkdir(snapshot!);
      const graph = await writeOnnx(
        path.join(blobs!, 'model.onnx'),
        da3Graph({ intrinsics: K }),
        'model.onnx_data',
      );
      for (const name of ['model.onnx', 'model.onnx_data']) {
        await rename(path.join(blobs!, name), path.join(blobs!, `blob-${name}`));
        await symlink(`../blobs/blob-${name}`, path.join(snapshot!, name));
      }
      const labeller = await onnxSource.open({ weights: snapshot!, settings: DA3_SIZE });
      const hashes = await Promise.all(
        ['model.onnx', 'model.onnx_data'].map(async (name) => {
          return `${sha256(await readFile(path.join(blobs!, `blob-${name}`)))}  ${name}\n`;
        }),
      );
      expect(path.basename(graph)).toBe('model.onnx');
      expect(labeller.provenance.weightsSha256).toBe(sha256(hashes.join('')));
      const images = await writeImages(folder, 2, SIZE);
      const labels = await labeller.doLabel({ images });
      expectAllclose(labels.depth, greyMap(2, 'imagenet', 3), TOLERANCE);
      await labeller.dispose();
    }));
});
