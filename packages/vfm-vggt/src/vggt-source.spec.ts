import { existsSync } from 'node:fs';
import { mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { checkLabels, createRandom, writePng } from '@spatialsv/core/kit';
import type { LabellerV1 } from '@spatialsv/core/spec';
import { describeLabelSource } from '@spatialsv/core/testing';
import plugin, { vggtSource } from './plugin.js';
import { writeTinyVggt } from './tiny-weights.js';

const photographs = path.resolve(__dirname, '../../../../shared/data/real-views');
if (!existsSync(photographs)) console.warn(`skipped, missing: ${photographs}`);

let root: string;
let weights: string;
let images: string[];

const prepare = async (): Promise<void> => {
  root = await mkdtemp(path.join(tmpdir(), 'vggt-source-'));
  weights = path.join(root, 'tiny');
  await writeTinyVggt({ folder: weights, seed: 7 });
  const random = createRandom(1);
  const written = [
    [80, 60],
    [80, 60],
    [50, 90],
  ].map(async ([width, height], view) => {
    const data = Uint8Array.from({ length: width! * height! * 3 }, () => random.integer(256));
    const file = path.join(root, `${view}.png`);
    await writePng(file, data, { width: width!, height: height!, channels: 3 });
    return file;
  });
  images = await Promise.all(written);
};

const prepared = prepare();
afterAll(() => rm(root, { recursive: true }));

const withLabeller = async (
  settings: Readonly<Record<string, unknown>>,
  body: (labeller: LabellerV1) => Promise<void>,
): Promise<void> => {
  await prepared;
  const labeller = await vggtSource.open({ weights, settings });
  await body(labeller);
  await labeller.dispose();
};

describeLabelSource(async () => {
  await prepared;
  return {
    source: vggtSource,
    open: { weights, settings: { resolution: 56 } },
    images: images.slice(0, 2),
    // Random weights see no scene: their cameras stay near the first one and their depth near 1.
    reprojectionTolerance: 0.1,
    precisionTolerance: 2e-2,
  };
});

describe('the plugin', () => {
  it('contributes the source under the id vggt', () => {
    expect(plugin.contributions()).toMatchObject([
      { specificationVersion: 'v1', kind: 'label-source', id: 'vggt' },
    ]);
  });
});

describe('the source vggt', () => {
  it('says which weights made its labels, how, and under which licence', () =>
    withLabeller({}, async ({ provenance, provides }) => {
      expect(provenance).toMatchObject({
        source: 'vggt',
        model: 'vggt-32x4',
        settings: { mode: 'crop', resolution: 56, features: true, pointHead: false },
        licence: { name: 'CC-BY-NC-4.0', commercialUse: false },
        weightsSha256: expect.stringMatching(/^[0-9a-f]{64}$/),
      });
      expect(provides).toContain('feature');
    }));

  it('takes another licence from who knows better', () => {
    const licence = { name: 'commercial agreement', commercialUse: true };
    return withLabeller({ licence }, async ({ provenance }) => {
      expect(provenance.licence).toEqual(licence);
      expect(provenance.settings).not.toHaveProperty('licence');
    });
  });

  it('gives labels and features of any size', () =>
    withLabeller({ resolution: 70 }, async (labeller) => {
      const own = await labeller.doLabel({ images: images.slice(0, 2) });
      expect(own).toMatchObject({ views: 2, height: 56, width: 70 });
      expect(own.features).toMatchObject({ h: 4, w: 5, channels: 64 });
      const asked = await labeller.doLabel({
        images: images.slice(0, 2),
        height: 30,
        width: 40,
      });
      expect(asked).toMatchObject({ height: 30, width: 40 });
      expect(asked.intrinsics[0]! / own.intrinsics[0]!).toBeCloseTo(40 / 70, 5);
    }));

  it.each(['crop', 'pad'])('labels wide and tall images together in mode %s', (mode) =>
    withLabeller({ mode }, async (labeller) => {
      const labels = await labeller.doLabel({ images, height: 45, width: 25 });
      checkLabels(labels, 'vggt');
      const pixels = 45 * 25;
      const seen = (view: number) =>
        labels.mask.subarray(view * pixels, (view + 1) * pixels).reduce((a, b) => a + b, 0) /
        pixels;
      expect(seen(0)).toBe(1);
      // 50×90 becomes 56×98, of which crop keeps 56 rows.
      expect(seen(2)).toBeCloseTo(mode === 'crop' ? 25 / 45 : 1, 2);
    }),
  );

  it('leaves features out where they are not wanted', () =>
    withLabeller({ features: false }, async (labeller) => {
      expect(labeller.provides).not.toContain('feature');
      expect(await labeller.doLabel({ images })).not.toHaveProperty('features');
    }));

  it('takes depth from the point head where asked', () =>
    withLabeller({ pointHead: true, features: false }, async (labeller) => {
      const labels = await labeller.doLabel({ images });
      checkLabels(labels, 'vggt');
      await withLabeller({ features: false }, async (other) => {
        expect((await other.doLabel({ images })).depth).not.toEqual(labels.depth);
      });
    }));

  it('stops between views', () =>
    withLabeller({}, async (labeller) => {
      const controller = new AbortController();
      const running = labeller.doLabel({ images, signal: controller.signal });
      setImmediate(() => controller.abort(new Error('enough')));
      await expect(running).rejects.toThrow('enough');
    }));

  it.each([
    ['no weights', {}, 'USAGE'],
    ['an unknown setting', { weights: '.', settings: { mood: 'crop' } }, 'CONFIG_INVALID'],
    ['an unknown mode', { weights: '.', settings: { mode: 'stretch' } }, 'CONFIG_INVALID'],
    ['a folder that is not there', { weights: '/no/such/folder' }, 'FILE_MISSING'],
  ])('refuses %s', async (_, options, code) => {
    await expect(vggtSource.open(options)).rejects.toMatchObject({ code });
  });

  it('refuses a resolution that cuts patches', async () => {
    await prepared;
    const opening = vggtSource.open({ weights, settings: { resolution: 60 } });
    await expect(opening).rejects.toMatchObject({ code: 'CONFIG_INVALID' });
  });

  const onPhotographs = existsSync(photographs) ? it : it.skip;
  onPhotographs('labels photographs (skipped without ../shared/data)', () =>
    withLabeller({ resolution: 112 }, async (labeller) => {
      const scenes = await readdir(photographs);
      expect(scenes).not.toEqual([]);
      for (const scene of scenes) {
        const folder = path.join(photographs, scene);
        const names = (await readdir(folder)).filter((name) => name.endsWith('.jpg')).sort();
        const views = names.slice(0, 3).map((name) => path.join(folder, name));
        const labels = await labeller.doLabel({ images: views });
        checkLabels(labels, scene);
        expect(labels).toMatchObject({ views: views.length, width: 112 });
      }
    }),
  );
});
