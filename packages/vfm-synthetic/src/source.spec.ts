import { cp, mkdir, readdir, readFile, writeFile } from 'node:fs/promises';
import path from 'node:path';
import type { SpatialError } from '@spatialsv/core/spec';
import { expectAllclose, withTemporaryFolder } from '@spatialsv/core/testing';
import { createScene } from './create-scene.js';
import { writeDataset } from './dataset.js';
import { FEATURE_CHANNELS } from './features.js';
import { renderView } from './render-view.js';
import { readSceneFile } from './scene-file.js';
import { createSyntheticSource } from './source.js';

const SIZE = { width: 40, height: 28 };

/** Images of one small room. */
const withImages = (body: (images: string[], folder: string) => Promise<void>): Promise<void> =>
  withTemporaryFolder(async (folder) => {
    await writeDataset({ folder, scenes: 1, seed: 4, split: 'test', motions: ['among'], ...SIZE });
    const scene = path.join(folder, 'other_all_image/among/test_000000');
    await body(
      [1, 2, 3, 4].map((k) => path.join(scene, `${k}.png`)),
      scene,
    );
  });

const source = createSyntheticSource();
const codeOf = (promise: Promise<unknown>): Promise<string> =>
  promise.then(
    () => 'none',
    (error: SpatialError) => `${error.code} ${error.hint.length > 20}`,
  );

describe('the synthetic source', () => {
  it('gives the depth and the cameras that the images were rendered with', () =>
    withImages(async (images, folder) => {
      const labels = await source.doLabel({ images });
      const { scene } = await readSceneFile(folder);
      expect(labels).toMatchObject({ views: 4, ...SIZE });
      scene.cameras.forEach((camera, view) => {
        const rendered = renderView(scene, camera, SIZE);
        const pixels = SIZE.width * SIZE.height;
        expect(labels.depth.slice(view * pixels, (view + 1) * pixels)).toEqual(rendered.depth);
        expectAllclose(labels.intrinsics.slice(9 * view, 9 * view + 9), rendered.intrinsics, {
          rtol: 1e-6,
        });
      });
      expect(labels.mask.every((value) => value === 1)).toBe(true);
    }));

  it('takes the first image of the request as the world', () =>
    withImages(async (images, folder) => {
      const { scene } = await readSceneFile(folder);
      const labels = await source.doLabel({ images: [images[2]!, images[0]!] });
      // biome-ignore format: a matrix keeps its rows
      expectAllclose(labels.extrinsicsWorldToCamera.slice(0, 12), [
        1, 0, 0, 0,
        0, 1, 0, 0,
        0, 0, 1, 0,
      ], { atol: 1e-6 });
      // The second camera's centre −Rᵀt lies, in the first camera's floor plan, where the scene puts it.
      const e = labels.extrinsicsWorldToCamera.slice(12);
      const centre = [0, 1, 2].map(
        (axis) => -(e[axis]! * e[3]! + e[4 + axis]! * e[7]! + e[8 + axis]! * e[11]!),
      );
      const [first, second] = [scene.cameras[2]!, scene.cameras[0]!];
      const moved = [0, 1, 2].map((axis) => second.position[axis]! - first.position[axis]!);
      expect(Math.hypot(...centre)).toBeCloseTo(Math.hypot(...moved), 5);
      const yaw = (first.yawDeg * Math.PI) / 180;
      expect(centre[0]).toBeCloseTo(Math.cos(yaw) * moved[0]! - Math.sin(yaw) * moved[2]!, 5);
    }));

  it('renders labels of any size, asked for in the request or set for the source', () =>
    withImages(async ([image]) => {
      const asked = await source.doLabel({ images: [image!], height: 7, width: 10 });
      expect([asked.height, asked.width, asked.depth.length]).toEqual([7, 10, 70]);
      const set = await createSyntheticSource({ height: 7, width: 10 }).doLabel({
        images: [image!],
      });
      expect(set).toEqual(asked);
      const full = await source.doLabel({ images: [image!] });
      expect(asked.intrinsics[0]).toBeCloseTo(full.intrinsics[0]! / 4, 5);
    }));

  it('gives features on a grid, or none', () =>
    withImages(async (images) => {
      const { features } = await source.doLabel({ images });
      expect(features).toMatchObject({ h: 2, w: 3, channels: FEATURE_CHANNELS });
      expect(features!.data).toHaveLength(4 * 2 * 3 * FEATURE_CHANNELS);
      const without = createSyntheticSource({ featureGrid: false });
      expect(without.provides).not.toContain('feature');
      expect((await without.doLabel({ images })).features).toBeUndefined();
    }));

  it('says the same twice', () =>
    withImages(async (images) => {
      expect(await source.doLabel({ images })).toEqual(await source.doLabel({ images }));
    }));
});

describe('images that it cannot label', () => {
  it('are refused with a hint when no scene description lies beside them', () =>
    withImages(async ([image], folder) => {
      const elsewhere = path.join(folder, 'elsewhere');
      await mkdir(elsewhere);
      await cp(image!, path.join(elsewhere, '1.png'));
      const images = [path.join(elsewhere, '1.png')];
      expect(await codeOf(source.doLabel({ images }))).toBe('DATA_INVALID true');
    }));

  it('are refused when they come from several folders, from none, or under another name', () =>
    withImages(async ([image], folder) => {
      const other = path.join(folder, '..', '1.png');
      expect(await codeOf(source.doLabel({ images: [image!, other] }))).toBe('DATA_INVALID true');
      expect(await codeOf(source.doLabel({ images: [] }))).toBe('DATA_INVALID true');
      const renamed = path.join(folder, 'kitchen.png');
      expect(await codeOf(source.doLabel({ images: [renamed] }))).toBe('DATA_INVALID true');
    }));

  it.each([
    ['not JSON', () => 'rooms'],
    [
      'another renderer version',
      (text: string) => text.replace('"rendererVersion":1', '"rendererVersion":2'),
    ],
    [
      'a number that is text',
      (text: string) => text.replace(/"yawDeg":[\d.]+/, '"yawDeg":"north"'),
    ],
    ['an unknown field', (text: string) => text.replace('"format"', '"extra":1,"format"')],
    ['a missing field', (text: string) => text.replace(/"width":\d+,/, '')],
  ])('are refused when the scene description is damaged: %s', (_, damage) =>
    withImages(async (images, folder) => {
      const file = path.join(folder, 'scene.json');
      await writeFile(file, damage(await readFile(file, 'utf8')));
      expect(await codeOf(source.doLabel({ images }))).toBe('DATA_INVALID true');
    }),
  );

  it('stop at an aborted signal', () =>
    withImages(async (images) => {
      const signal = AbortSignal.abort(new Error('enough'));
      await expect(source.doLabel({ images, signal })).rejects.toThrow('enough');
    }));
});

describe('the scene description', () => {
  it('is small and lies beside the images', () =>
    withImages(async (_, folder) => {
      expect((await readdir(folder)).sort()).toEqual([
        '1.png',
        '2.png',
        '3.png',
        '4.png',
        'scene.json',
      ]);
      expect((await readFile(path.join(folder, 'scene.json'))).length).toBeLessThan(10_000);
      const { scene } = await readSceneFile(folder);
      expect(createScene(scene.seed, { motion: 'among' })).toEqual(scene);
    }));
});
