import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { WebIO } from '@gltf-transform/core';
import { labelMaps, openSafetensors } from '@spatialsv/core';
import sharp from 'sharp';
import { testLabels } from '../testing/test-labels.js';
import { depthStep } from './depth-images.js';
import { exportLabels, LABEL_FORMATS } from './export-labels.js';
import type { LabelSet } from './label-set.js';

const root = mkdtempSync(join(tmpdir(), 'spatialsv-labels-'));
const out = join(root, 'out');
let set: LabelSet;

beforeAll(async () => {
  set = await testLabels(root);
  const { files } = await exportLabels(set, out, { formats: LABEL_FORMATS });
  for (const name of files) expect(existsSync(join(out, name))).toBe(true);
});
afterAll(() => rmSync(root, { recursive: true }));

describe('exportLabels', () => {
  it('writes depth in 16 bits, 0 where it is not valid', async () => {
    const { labels } = set;
    for (const view of [0, 2]) {
      const file = sharp(join(out, `depth/view-${view + 1}-16bit.png`)).toColourspace('grey16');
      const { data, info } = await file
        .raw({ depth: 'ushort' })
        .toBuffer({ resolveWithObject: true });
      expect([info.width, info.height, info.channels]).toEqual([32, 24, 1]);
      const codes = new Uint16Array(data.buffer, data.byteOffset, data.byteLength / 2);
      codes.forEach((code, i) => {
        const at = view * codes.length + i;
        const expected = labels.mask[at] === 1 ? labels.depth[at]! : 0;
        expect(Math.abs(code / 1000 - expected)).toBeLessThanOrEqual(5.01e-4);
      });
    }
  });

  it('paints depth and confidence', async () => {
    for (const name of ['view-3.png', 'view-3-confidence.png']) {
      const { width, height, channels } = await sharp(join(out, 'depth', name)).metadata();
      expect([width, height, channels]).toEqual([32, 24, 3]);
    }
    const { data } = await sharp(join(out, 'depth/view-1.png'))
      .raw()
      .toBuffer({ resolveWithObject: true });
    expect([...data.subarray(15, 18)]).toEqual([127, 127, 127]);
  });

  it('writes tensors with their conventions', async () => {
    const reader = await openSafetensors(join(out, 'labels.safetensors'));
    const shapes = {
      depth: [3, 24, 32],
      depth_confidence: [3, 24, 32],
      mask: [3, 24, 32],
      intrinsics: [3, 3, 3],
      extrinsics_world_to_camera: [3, 3, 4],
      rays: [3, 24, 32, 6],
      points: [3, 24, 32, 3],
      features: [3, 2, 3, 2],
    };
    expect([...reader.names].sort()).toEqual(Object.keys(shapes).sort());
    for (const [name, shape] of Object.entries(shapes)) {
      expect(reader.info(name).shape).toEqual(shape);
    }
    expect(reader.info('mask').dtype).toBe('U8');
    expect(await reader.readFloat32('depth')).toEqual(set.labels.depth);
    expect(await reader.readFloat32('points')).toEqual(labelMaps(set.labels).points);
    expect(reader.metadata).toMatchObject({
      axes: 'opencv',
      extrinsics: 'world-to-camera',
      pixel_centre: 'half',
      depth: 'z-depth',
      scale: 'metric-metres',
      world: 'first-camera',
    });
    expect(JSON.parse(reader.metadata['provenance']!)).toEqual(set.provenance);
  });

  it('writes clouds whose points lie where the labels say, in the colours of the images', async () => {
    const document = await new WebIO().readBinary(readFileSync(join(out, 'scene.glb')));
    const meshes = document.getRoot().listMeshes();
    expect(meshes.map((mesh) => mesh.getName())).toEqual([
      'points',
      'frustum-0',
      'frustum-1',
      'frustum-2',
    ]);
    const ply = readFileSync(join(out, 'points.ply'));
    const header = ply.subarray(0, ply.indexOf('end_header\n') + 11);
    const text = header.toString('ascii');
    expect(text).toContain('labels by test box, licence Apache-2.0');
    const count = Number(/element vertex (\d+)/.exec(text)![1]);
    expect(ply.length).toBe(header.length + 15 * count);
    const { points } = labelMaps(set.labels);
    const places = new Map<string, number>();
    for (let i = 0; i < points.length; i += 3) places.set(points.subarray(i, i + 3).join(), i / 3);
    const images = await Promise.all(set.images.map(({ path }) => sharp(path).raw().toBuffer()));
    for (let at = header.length; at < ply.length; at += 15) {
      const place = [0, 4, 8].map((axis) => ply.readFloatLE(at + axis)).join();
      const pixel = places.get(place)!;
      const [view, row, column] = [
        Math.floor(pixel / 768),
        Math.floor(pixel / 32) % 24,
        pixel % 32,
      ];
      const inImage = ((row * 3 + 1) * 128 + column * 4 + 2) * 3;
      expect([...ply.subarray(at + 12, at + 15)]).toEqual([
        ...images[view]!.subarray(inImage, inImage + 3),
      ]);
    }
  });

  it('says what the files mean', () => {
    const file = JSON.parse(readFileSync(join(out, 'labels.json'), 'utf8'));
    expect(file).toMatchObject({
      key: set.key,
      depthStep16Bit: 0.001,
      provenance: { licence: { name: 'Apache-2.0' } },
      conventions: { depth: 'z-depth', origin: 'label' },
    });
    expect(file.cameras).toHaveLength(3);
  });

  it('needs the images only where it colours points', async () => {
    const images = set.images.map((image) => ({ ...image, path: join(root, 'gone.png') }));
    const gone = { ...set, images };
    const folder = join(root, 'without');
    await exportLabels(gone, folder, { formats: ['png', 'safetensors'] });
    await expect(exportLabels(gone, folder, { formats: ['ply'] })).rejects.toMatchObject({
      code: 'FILE_MISSING',
    });
  });
});

describe('depthStep', () => {
  it.each([
    ['metric-metres', 0.2, 1e-3],
    ['metric-metres', 60, 1e-3],
    ['metric-metres', 300, 1e-2],
    ['relative', 0.2, 1e-5],
    ['relative', 1.7, 1e-4],
    ['relative', 1e5, 10],
  ] as const)('of %s depth up to %d is %d', (scale, factor, step) => {
    const { labels } = set;
    const depth = labels.depth.map(() => factor);
    const conventions = { ...labels.conventions, scale };
    expect(depthStep({ ...labels, conventions, depth })).toBe(step);
  });
});
